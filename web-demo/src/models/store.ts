// Downloaded models in the origin's private file system: what each consists of, how much of it is there, its files, its end.
//
// models/<owner>__<name>@<commit>/ holds the files under their own names. `.plan.json` says which files belong to it, of
// which size and hash; a file that is not whole yet has `.part` at its end; `.ready` is written when all are right. Only
// the worker of the download page writes (download/keep.ts); both pages read and delete.

/** The digest that a file must have: SHA-256 for large files, that of a git blob for small ones, as the hub tells them. */
export interface Digest {
  readonly kind: "sha256" | "git-sha1";
  readonly hex: string;
}

/** A file of a model. */
export interface PlannedFile {
  readonly path: string;
  readonly bytes: number;
  readonly digest: Digest;
}

/** What a model consists of, fixed by a commit: an address with a commit in it never gives other bytes. */
export interface Plan {
  /** `owner/name`. */
  readonly id: string;
  readonly commit: string;
  readonly licence: string | null;
  readonly files: readonly PlannedFile[];
}

/** A model that is here, whole or in part. */
export interface StoredModel {
  /** `owner/name@commit`. */
  readonly key: string;
  readonly plan: Plan;
  /** Bytes that are here. */
  readonly bytes: number;
  readonly total: number;
  readonly ready: boolean;
}

export const ROOT = "models";
export const PLAN = ".plan.json";
export const READY = ".ready";
export const PART = ".part";

const ID = /^[\w.-]+\/[\w.-]+$/;
const COMMIT = /^[0-9a-f]{7,64}$/;

/** Whether a text is `owner/name` as the hub forms it; its owners have no `__`, which therefore marks the `/` in a folder's name. */
export const isId = (text: string): boolean => ID.test(text) && !text.includes("..") && !/__.*\//.test(text);

/** `owner/name@commit`. */
export const keyOf = ({ id, commit }: Pick<Plan, "id" | "commit">): string => `${id}@${commit}`;

/** The folder's name; `/` may not be in one. */
export const folderOf = (plan: Pick<Plan, "id" | "commit">): string => keyOf(plan).replace("/", "__");

/** Bytes of all files. */
export const totalOf = ({ files }: Plan): number => files.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether this browser keeps files for this page at all. */
export async function canKeep(): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    return true;
  } catch {
    return false; // private browsing, an old browser, or an insecure address
  }
}

/** All models that are here, by name. */
export async function storedModels(): Promise<StoredModel[]> {
  const found: StoredModel[] = [];
  try {
    const root = await rootFolder();
    for await (const handle of root.values()) {
      const model = handle.kind === "directory" ? await read(handle as FileSystemDirectoryHandle) : null;
      if (model) found.push(model);
    }
  } catch {
    return []; // nothing was ever kept, or nothing can be
  }
  return found.sort((a, b) => a.key.localeCompare(b.key));
}

/** The model of a key, or of an `owner/name` a whole one rather than a part; null when it is not here. */
export async function storedModel(wanted: string): Promise<StoredModel | null> {
  const all = await storedModels();
  const named = all.filter(({ key, plan }) => key === wanted || plan.id === wanted);
  return named.find(({ ready }) => ready) ?? named[0] ?? null;
}

/** The files of a whole model by their paths, below a folder of its name: each is read where it lies, by ranges. */
export async function modelFiles({ plan }: StoredModel): Promise<Map<string, File>> {
  const folder = await (await rootFolder()).getDirectoryHandle(folderOf(plan));
  const name = plan.id.split("/")[1] ?? plan.id;
  const files = new Map<string, File>();
  for (const { path } of plan.files) files.set(`${name}/${path}`, await (await fileHandle(folder, path)).getFile());
  return files;
}

/** Deletes a model, whole or not. Rejects while a page is downloading it. */
export async function deleteModel(plan: Pick<Plan, "id" | "commit">): Promise<void> {
  await (await rootFolder()).removeEntry(folderOf(plan), { recursive: true });
}

/**
 * Bytes that the browser says it would still keep for this page; null where it does not tell. Chromium says 10 GiB whatever
 * the disk has, so that pages cannot know visitors by it; a write may then still fail for want of space.
 */
export async function freeBytes(): Promise<number | null> {
  const { quota, usage } = await navigator.storage.estimate().catch((): StorageEstimate => ({}));
  return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
}

/** The folder of all models. */
export async function rootFolder(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(ROOT, { create: true });
}

/** The file at a path, which may lead through folders. */
export async function fileHandle(
  folder: FileSystemDirectoryHandle,
  path: string,
  options: FileSystemGetFileOptions = {},
): Promise<FileSystemFileHandle> {
  const folders = path.split("/");
  const name = folders.pop() ?? "";
  let at = folder;
  for (const step of folders) at = await at.getDirectoryHandle(step, options);
  return at.getFileHandle(name, options);
}

async function sizeOf(folder: FileSystemDirectoryHandle, path: string): Promise<number | null> {
  try {
    return (await (await fileHandle(folder, path)).getFile()).size;
  } catch {
    return null;
  }
}

/** A plan as it was written; null for anything else. */
function parsePlan(text: string): Plan | null {
  try {
    const { id, commit, licence, files } = JSON.parse(text) as Plan;
    const right = isId(id) && COMMIT.test(commit) && Array.isArray(files) && files.length > 0;
    return right ? { id, commit, licence: licence ?? null, files } : null;
  } catch {
    return null;
  }
}

async function read(folder: FileSystemDirectoryHandle): Promise<StoredModel | null> {
  const text = await folder.getFileHandle(PLAN).then(
    async (handle) => (await handle.getFile()).text(),
    () => null,
  );
  const plan = text === null ? null : parsePlan(text);
  if (!plan || folderOf(plan) !== folder.name) return null;
  let bytes = 0;
  let whole = 0;
  for (const file of plan.files) {
    const size = await sizeOf(folder, file.path);
    if (size === file.bytes) whole += 1;
    bytes += size ?? (await sizeOf(folder, file.path + PART)) ?? 0;
  }
  const ready = whole === plan.files.length && (await sizeOf(folder, READY)) !== null;
  return { key: keyOf(plan), plan, bytes, total: totalOf(plan), ready };
}
