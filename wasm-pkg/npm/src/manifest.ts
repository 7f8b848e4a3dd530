// The manifest of a model bundle: its shape, checked before anything in it is believed.

import { NameLensError } from "./errors.js";

/** One file of a bundle. */
export interface ManifestFile {
  /** The name the engine knows it by, such as `config.json`. */
  readonly name: string;
  /** Where it is, relative to the manifest. */
  readonly path: string;
  readonly bytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** What a bundle consists of. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly files: readonly ManifestFile[];
}

/** More than any model a page could run; the weights themselves are read piece by piece and may pass 4 GiB. */
const MAX_BYTES = 2 ** 37;
const MAX_FILES = 1000;

/** Reads a manifest; `url` is named in errors. Throws code `config`. */
export function parseManifest(text: string, url: string): Manifest {
  const fail = (what: string): never => {
    throw new NameLensError("config", `${url}: ${what}`);
  };
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail("not JSON, so not the manifest of a model bundle");
  }
  const { name, version, files } = (json ?? {}) as Partial<Record<keyof Manifest, unknown>>;
  if (typeof name !== "string" || typeof version !== "string") return fail('needs the texts "name" and "version"');
  if (!Array.isArray(files) || files.length === 0 || files.length > MAX_FILES) {
    return fail(`needs "files", a list of 1 to ${MAX_FILES} entries`);
  }
  const checked = files.map((file: unknown, index) => {
    const wrong = fileFault(file);
    return wrong ? fail(`files[${index}]: ${wrong}`) : (file as ManifestFile);
  });
  if (new Set(checked.map((file) => file.name)).size !== checked.length) fail("two files have the same name");
  if (checked.reduce((sum, file) => sum + file.bytes, 0) > MAX_BYTES) fail("more than 128 GiB does not fit a page");
  return { name, version, files: checked };
}

function fileFault(file: unknown): string | null {
  if (typeof file !== "object" || file === null) return "not an object";
  const { name, path, bytes, sha256 } = file as Partial<Record<keyof ManifestFile, unknown>>;
  if (typeof name !== "string" || name === "") return '"name" is missing';
  // A bundle may only speak of files below itself: never of another origin or folder.
  if (typeof path !== "string" || !/^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/.test(path)) return '"path" is not a plain path';
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) return '"bytes" is not a size';
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) return '"sha256" is not 64 hexadecimal digits';
  return null;
}

/** SHA-256 of `bytes` in hexadecimal. Needs a secure context (https or localhost). */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  if (!globalThis.crypto?.subtle) {
    throw new NameLensError("unsupported", "the page needs https (or localhost) to check what it downloads");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
