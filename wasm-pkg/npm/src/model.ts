// The files of a model bundle: from the cache when they are whole, else from the network, always verified.

import { openCache, type ByteCache } from "./cache.js";
import { download } from "./download.js";
import { NameLensError } from "./errors.js";
import { parseManifest, sha256, type Manifest, type ManifestFile } from "./manifest.js";
import type { ModelSource } from "./protocol.js";
import type { LoadProgress } from "./types.js";

type Progress = (progress: LoadProgress) => void;

/** A kept manifest remembers where it came from, so that a newer one can tell what it replaces. */
const MANIFEST_KEY = "manifest-";

/**
 * All files of the bundle by name. Rejects with `config` (manifest), `network`, `integrity` (a file is not the
 * published one even when fetched afresh) or `cancelled`.
 */
export async function loadModel(
  source: ModelSource,
  onProgress: Progress,
  signal: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const cache = await openCache();
  const manifest = await loadManifest(source, cache, signal);
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const arrived = new Map<string, number>();
  const report = (name: string, bytes: number): void => {
    arrived.set(name, bytes);
    const done = [...arrived.values()].reduce((sum, part) => sum + part, 0);
    onProgress({ stage: "download", done, total });
  };
  const files = await Promise.all(
    manifest.files.map(async (file) => {
      const address = source.files?.[file.name] ?? new URL(file.path, source.manifest).href;
      const bytes = await loadFile(file, address, cache, (done) => report(file.name, done), signal);
      report(file.name, file.bytes);
      return [file.name, bytes] as const;
    }),
  );
  await forgetOlder(manifest, source.manifest, cache);
  return new Map(files);
}

async function loadManifest(source: ModelSource, cache: ByteCache, signal: AbortSignal): Promise<Manifest> {
  const url = source.manifest;
  const key = MANIFEST_KEY + (await sha256(new TextEncoder().encode(url)));
  let text: string;
  try {
    // `no-cache` revalidates: a published update is seen at the next visit, an unchanged one costs nothing.
    const bytes = await download(url, null, () => undefined, signal, "no-cache");
    text = new TextDecoder().decode(bytes);
  } catch (thrown) {
    const kept = thrown instanceof NameLensError && thrown.code === "network" ? await cache.get(key) : null;
    if (!kept) throw thrown;
    return parseManifest(new TextDecoder().decode(kept), url);
  }
  const manifest = parseManifest(text, url);
  await cache.put(key, new TextEncoder().encode(text));
  return manifest;
}

async function loadFile(
  file: ManifestFile,
  address: string,
  cache: ByteCache,
  onProgress: (done: number) => void,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const kept = await cache.get(file.sha256);
  if (kept && (await isWhole(kept, file))) return kept;
  if (kept) await cache.delete(file.sha256); // damaged on disk
  // The second try goes past the HTTP cache, which may hold a damaged or an older copy.
  for (const mode of ["default", "reload"] as const) {
    const bytes = await download(address, file.bytes, onProgress, signal, mode).catch((thrown: unknown) => {
      if (thrown instanceof NameLensError && thrown.code === "integrity") return null; // too long: try once more
      throw thrown;
    });
    if (bytes && (await isWhole(bytes, file))) {
      await cache.put(file.sha256, bytes);
      return bytes;
    }
  }
  throw new NameLensError(
    "integrity",
    `${file.name} from ${address} is not the file its manifest describes (${file.bytes} bytes, SHA-256 ${file.sha256})`,
  );
}

async function isWhole(bytes: Uint8Array<ArrayBuffer>, file: ManifestFile): Promise<boolean> {
  return bytes.byteLength === file.bytes && (await sha256(bytes)) === file.sha256;
}

/** Deletes kept files that only earlier versions of this model used. */
async function forgetOlder(current: Manifest, url: string, cache: ByteCache): Promise<void> {
  const currentKey = MANIFEST_KEY + (await sha256(new TextEncoder().encode(url)));
  const needed = new Set(current.files.map((file) => file.sha256));
  const stale: { key: string; files: readonly ManifestFile[] }[] = [];
  for (const key of await cache.keys()) {
    if (!key.startsWith(MANIFEST_KEY) || key === currentKey) continue;
    const bytes = await cache.get(key);
    try {
      const manifest = parseManifest(new TextDecoder().decode(bytes ?? new Uint8Array()), key);
      if (manifest.name === current.name) stale.push({ key, files: manifest.files });
      else for (const file of manifest.files) needed.add(file.sha256);
    } catch {
      stale.push({ key, files: [] });
    }
  }
  for (const { key, files } of stale) {
    await cache.delete(key);
    for (const file of files) if (!needed.has(file.sha256)) await cache.delete(file.sha256);
  }
}
