// The files of a model, wherever it is: a bundle with a manifest, a folder on a server, files that somebody chose.

import { download } from "./download.js";
import { asError } from "./errors.js";
import { ChosenFolder, collect } from "./folder.js";
import { forget, keepPublished, type Digest, type Keeper } from "./keep.js";
import { parseManifest, sha256, type Manifest, type ManifestFile } from "./manifest.js";
import type { BundleSource, ModelSource } from "./protocol.js";
import { addressIn, keptFolder, RemoteFolder } from "./remote.js";
import type { LoadProgress } from "./types.js";
import { openVault } from "./vault-open.js";
import { readText, writeText, type Vault } from "./vault.js";

/** A kept manifest remembers where it came from, so that a newer one can tell what it replaces. */
const MANIFEST_KEY = "manifest-";
const MANIFEST = "manifest.json";
/** Milliseconds between two words on progress: more of them only keep the page busy. */
const PROGRESS_MS = 50;

/**
 * All files of the model by name, each a `Blob` that lies on disk where it can. Rejects with `config` (manifest),
 * `missing` (a file of the folder), `network`, `http`, `quota`, `memory`, `integrity` (a file is not the published one
 * even when fetched afresh) or `cancelled`.
 */
export async function loadModel(
  source: ModelSource,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  digest: () => Promise<Digest>,
): Promise<Map<string, Blob>> {
  if ("chosen" in source) return withCard(await collect(new ChosenFolder(source.name, source.chosen)), source.name);
  const keeper: Keeper = { vault: await openVault(), signal, digest, onProgress: adder(onProgress) };
  if ("manifest" in source) return loadBundle(source, keeper);
  return loadFolder(source.folder, keeper);
}

async function loadFolder(address: string, keeper: Keeper): Promise<Map<string, Blob>> {
  const folder = new RemoteFolder(address, keeper);
  const manifest = addressIn(address, MANIFEST);
  const offline = (thrown: unknown): boolean => asError(thrown).code === "network";
  const isBundle = await folder.find([MANIFEST]).then(
    (found) => found.has(MANIFEST),
    async (thrown: unknown) => {
      if (!offline(thrown)) throw thrown;
      return (await keeper.vault.read(await manifestKey(manifest))) !== null;
    },
  );
  if (isBundle) return loadBundle({ manifest }, keeper);
  try {
    const files = await collect(folder);
    await folder.remember();
    return withCard(files, folder.name);
  } catch (thrown) {
    const kept = offline(thrown) ? await keptFolder(address, keeper.vault) : null;
    if (!kept) throw thrown;
    return withCard(kept, folder.name);
  }
}

/** A checkpoint of a hub says nothing about itself; the name of its folder stands in. */
function withCard(files: Map<string, Blob>, name: string): Map<string, Blob> {
  if (!files.has("model.json")) files.set("model.json", new Blob([JSON.stringify({ name, knows: "" })]));
  return files;
}

async function loadBundle(source: BundleSource, keeper: Keeper): Promise<Map<string, Blob>> {
  const manifest = await loadManifest(source, keeper);
  for (const { name, bytes } of manifest.files) keeper.onProgress("download", name, 0, bytes);
  const files = await together(
    keeper.signal,
    manifest.files.map(async (file) => {
      const url = source.files?.[file.name] ?? addressIn(source.manifest, file.path);
      const blob = await keepPublished({ ...file, url }, keeper);
      keeper.onProgress("download", file.name, file.bytes, file.bytes);
      return [file.name, blob] as const;
    }),
  );
  await forgetOlder(manifest, source.manifest, keeper.vault);
  return new Map(files);
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
