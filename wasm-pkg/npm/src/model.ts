// The files of a model, wherever it is: a bundle with a manifest, a folder on a server, files that somebody chose.

import { knowsOnlyPlayroom, playroomRefused } from "./captioner.js";
import { download } from "./download.js";
import { asError, NameLensError } from "./errors.js";
import { ChosenFolder, collect, type FileRules, type Part, type Repository } from "./folder.js";
import { forget, keepPublished, type Digest, type Keeper } from "./keep.js";
import { parseManifest, sha256, type Manifest, type ManifestFile } from "./manifest.js";
import type { BundleSource, FolderSource, ModelChoice, ModelSource, Sources } from "./protocol.js";
import { addressIn, keptFolder, RemoteFolder } from "./remote.js";
import type { LoadProgress } from "./types.js";
import { openVault } from "./vault-open.js";
import { readText, writeText, type Vault } from "./vault.js";

/** A kept manifest remembers where it came from, so that a newer one can tell what it replaces. */
const MANIFEST_KEY = "manifest-";
const MANIFEST = "manifest.json";
/** What a model says of itself. */
const CARD = "model.json";
/** Milliseconds between two words on progress: more of them only keep the page busy. */
const PROGRESS_MS = 50;

/** What the engine offers before it has a model. */
export interface EngineTools extends FileRules {
  digest(): Digest;
}

/** What finding a model's files needs. */
export interface Search {
  readonly keeper: Keeper;
  /** Waits for the engine. */
  readonly tools: () => Promise<EngineTools>;
}

/** A search that keeps what it fetches in the best place there is. */
export async function search(
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  tools: () => Promise<EngineTools>,
): Promise<Search> {
  const digest = (): Promise<Digest> => tools().then((engine) => engine.digest());
  return { tools, keeper: { vault: await openVault(), signal, digest, onProgress: adder(onProgress) } };
}

/** One model, or the half of one that is wanted of it. */
export interface Wanted {
  readonly source: ModelSource;
  readonly choice: ModelChoice;
  readonly part: Part;
}

/** What is wanted where a model, or a model for searching photos and a captioner, are to be loaded; the choice is the captioner's. */
export function wantedOf({ model, captioner }: Sources, choice: ModelChoice): Wanted[] {
  const wanted = (source: ModelSource, part: Part, choice: ModelChoice): Wanted => ({ source, part, choice: chosenIn(source, choice) });
  if (!captioner) return [wanted(model, "whole", choice)];
  return [wanted(model, "retriever", {}), wanted(captioner, "captioner", choice)];
}

/**
 * All files of the model by name, each a `Blob` that lies on disk where it can. Rejects with `config` (manifest),
 * `missing` (a file of the folder), `option` (a choice must be made), `network`, `http`, `quota`, `memory`, `integrity` (a
 * file is not the published one even when fetched afresh) or `cancelled`.
 */
export async function loadModel(
  sources: Sources,
  choice: ModelChoice,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  tools: () => Promise<EngineTools>,
): Promise<Map<string, Blob>> {
  const searching = await search(onProgress, signal, tools);
  const files = new Map<string, Blob>();
  for (const wanted of wantedOf(sources, choice)) {
    for (const [name, file] of await loadOne(wanted, searching)) files.set(name, file);
  }
  return files;
}

async function loadOne(wanted: Wanted, searching: Search): Promise<Map<string, Blob>> {
  const { source, choice, part } = wanted;
  if ("folder" in source) return loadFolder({ ...wanted, source }, searching);
  const repository = await open(source, searching);
  const files = await collect(repository, await searching.tools(), choice, part);
  if (repository instanceof Bundle) await repository.replaceOlder();
  return finished(files, repository, part);
}

/** The repository of the model; for a folder on a server with a manifest, that bundle. */
export async function open(source: ModelSource, { keeper, tools }: Search): Promise<Bundle | ChosenFolder | RemoteFolder> {
  if ("chosen" in source) return ChosenFolder.among(source.chosen, source.name, await tools());
  if ("manifest" in source) return Bundle.open(source, keeper);
  const folder = new RemoteFolder(source.folder, keeper);
  const manifest = addressIn(source.folder, MANIFEST);
  const isBundle = await folder.find([MANIFEST]).then(
    (found) => found.has(MANIFEST),
    async (thrown: unknown) => {
      if (!isOffline(thrown)) throw thrown;
      return (await keeper.vault.read(await manifestKey(manifest))) !== null;
    },
  );
  return isBundle ? Bundle.open({ manifest }, keeper) : folder;
}

/** The choice, with the file that the address named. */
function chosenIn(source: ModelSource, choice: ModelChoice): ModelChoice {
  return "folder" in source && source.weights !== undefined ? { weights: source.weights, ...choice } : choice;
}

async function loadFolder({ source, choice, part }: Wanted & { source: FolderSource }, searching: Search): Promise<Map<string, Blob>> {
  const repository = await open(source, searching);
  let files: Map<string, Blob>;
  try {
    files = await collect(repository, await searching.tools(), choice, part);
    if (repository instanceof Bundle) await repository.replaceOlder();
    if (repository instanceof RemoteFolder) await repository.remember(choice, part);
  } catch (thrown) {
    const kept = isOffline(thrown) ? await keptFolder(source.folder, choice, part, searching.keeper.vault) : null;
    if (!kept) throw thrown;
    files = kept;
  }
  return finished(files, repository, part);
}

/** The files with a card, as the engine takes them. Rejects with `option` for a captioner that knows no photographs. */
async function finished(files: Map<string, Blob>, { name }: Repository, part: Part): Promise<Map<string, Blob>> {
  if (part === "retriever") return files;
  if (part === "captioner" && knowsOnlyPlayroom((await files.get(CARD)?.text()) ?? "")) throw playroomRefused(name);
  return withCard(files, name);
}

const isOffline = (thrown: unknown): boolean => asError(thrown).code === "network";

/** A checkpoint of a hub says nothing about itself; the name of its folder stands in. */
function withCard(files: Map<string, Blob>, name: string): Map<string, Blob> {
  if (!files.has(CARD)) files.set(CARD, new Blob([JSON.stringify({ name, knows: "" })]));
  return files;
}

/** The files that a manifest describes. */
export class Bundle implements Repository {
  readonly name: string;
  readonly #manifest: Manifest;
  readonly #source: BundleSource;
  readonly #keeper: Keeper;

  private constructor(manifest: Manifest, source: BundleSource, keeper: Keeper) {
    this.name = manifest.name;
    this.#manifest = manifest;
    this.#source = source;
    this.#keeper = keeper;
  }

  static async open(source: BundleSource, keeper: Keeper): Promise<Bundle> {
    return new Bundle(await loadManifest(source, keeper), source, keeper);
  }

  async list(): Promise<readonly string[]> {
    return this.#manifest.files.map(({ name }) => name);
  }

  async find(names: readonly string[]): Promise<ReadonlySet<string>> {
    const all = new Set(await this.list());
    return new Set(names.filter((name) => all.has(name)));
  }

  announce(names: readonly string[]): void {
    for (const name of names) this.#keeper.onProgress("download", name, 0, this.#file(name).bytes);
  }

  async open(name: string): Promise<Blob> {
    const file = this.#file(name);
    const url = this.#source.files?.[name] ?? addressIn(this.#source.manifest, file.path);
    const blob = await keepPublished({ ...file, url }, this.#keeper);
    this.#keeper.onProgress("download", name, file.bytes, file.bytes);
    return blob;
  }

  /** Bytes of a file, and whether it is kept already. */
  async state(name: string): Promise<{ bytes: number; kept: boolean }> {
    const { bytes, sha256 } = this.#file(name);
    return { bytes, kept: (await this.#keeper.vault.read(sha256))?.size === bytes };
  }

  /** Deletes what only earlier versions of this model used. */
  async replaceOlder(): Promise<void> {
    await forgetOlder(this.#manifest, this.#source.manifest, this.#keeper.vault);
  }

  #file(name: string): ManifestFile {
    const file = this.#manifest.files.find((file) => file.name === name);
    if (!file) throw new NameLensError("missing", `${this.name}: ${name} is missing from the manifest`);
    return file;
  }
}

/** Waits for all; when stopped, also until each has kept what had arrived. */
export async function together<T extends readonly unknown[] | []>(
  signal: AbortSignal,
  tasks: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  try {
    return await Promise.all(tasks);
  } catch (thrown) {
    if (signal.aborted) await Promise.allSettled(tasks);
    throw thrown;
  }
}

/** Adds the files of each stage up. */
function adder(report: (progress: LoadProgress) => void): Keeper["onProgress"] {
  const stages = new Map<string, Map<string, { done: number; total: number }>>();
  let last = 0;
  return (stage, file, done, total) => {
    const files = stages.get(stage) ?? new Map<string, { done: number; total: number }>();
    stages.set(stage, files.set(file, { done, total }));
    const now = performance.now();
    if (now - last < PROGRESS_MS && (done !== total || done === 0)) return;
    last = now;
    const sum = (pick: "done" | "total"): number => [...files.values()].reduce((all, one) => all + one[pick], 0);
    report({ stage, done: sum("done"), total: sum("total"), file });
  };
}

async function loadManifest(source: BundleSource, { vault, signal }: Keeper): Promise<Manifest> {
  const url = source.manifest;
  const key = await manifestKey(url);
  let text: string;
  try {
    // `no-cache` revalidates: a published update is seen at the next visit, an unchanged one costs nothing.
    const bytes = await download(url, null, () => undefined, signal, "no-cache");
    text = new TextDecoder().decode(bytes);
  } catch (thrown) {
    const unreachable = ["network", "http"].includes(asError(thrown).code);
    const kept = unreachable ? await readText(vault, key) : null;
    if (kept === null) throw thrown;
    return parseManifest(kept, url);
  }
  const manifest = parseManifest(text, url);
  // Without space for it the model still works; it is only fetched again next time.
  await writeText(vault, key, text).catch(() => undefined);
  return manifest;
}

const manifestKey = async (url: string): Promise<string> => MANIFEST_KEY + (await sha256(new TextEncoder().encode(url)));

/** Deletes kept files that only earlier versions of this model used. */
async function forgetOlder(current: Manifest, url: string, vault: Vault): Promise<void> {
  const currentKey = await manifestKey(url);
  const needed = new Set(current.files.map((file) => file.sha256));
  const stale: { key: string; files: readonly ManifestFile[] }[] = [];
  for (const key of await vault.keys()) {
    if (!key.startsWith(MANIFEST_KEY) || key === currentKey) continue;
    try {
      const manifest = parseManifest((await readText(vault, key)) ?? "", key);
      if (manifest.name === current.name) stale.push({ key, files: manifest.files });
      else for (const file of manifest.files) needed.add(file.sha256);
    } catch {
      stale.push({ key, files: [] });
    }
  }
  for (const { key, files } of stale) {
    await vault.delete(key);
    for (const file of files) if (!needed.has(file.sha256)) await forget(file.sha256, vault);
  }
}
