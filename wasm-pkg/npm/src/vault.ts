// A place for files of models by key: what it can do, whichever it is.

import { NameLensError } from "./errors.js";

/** A file that is being written. Nothing else may open it until it is closed. */
export interface Slot {
  /** Bytes in it now. */
  readonly size: number;
  /** Rejects with code `quota` when there is no space, with `memory` where only memory is left to keep it in. */
  write(bytes: Uint8Array<ArrayBuffer>, at: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Whether what was written would now survive a crash. */
  flush(): Promise<boolean>;
  close(): Promise<void>;
}

/** Files by key; keys are file-name safe. Reading never throws: what cannot be read is absent. */
export interface Vault {
  /** Whether files are still there at the next visit. */
  readonly lasting: boolean;
  read(key: string): Promise<Blob | null>;
  /** Opens a file for writing, made empty when there is none. */
  slot(key: string): Promise<Slot>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
  /** Bytes that may still be written; null where the browser does not say. */
  free(): Promise<number | null>;
}

/** Most bytes that are kept in memory for want of a file system; beyond it a page is likelier to die than to work. */
export const MEMORY_LIMIT = 2 ** 30;

/** Text under a key; null when there is none. */
export async function readText(vault: Vault, key: string): Promise<string | null> {
  const blob = await vault.read(key);
  return blob ? blob.text().catch(() => null) : null;
}

/** Replaces what is under a key. What fails or crashes in between leaves a file that is cut off. */
export async function writeBytes(vault: Vault, key: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  const slot = await vault.slot(key);
  try {
    await slot.truncate(0);
    await slot.write(bytes, 0);
    await slot.flush();
  } finally {
    await slot.close();
  }
}

/** Replaces the text under a key. Text that is cut off must be able to be refused, see {@link writeBytes}. */
export function writeText(vault: Vault, key: string, text: string): Promise<void> {
  return writeBytes(vault, key, new TextEncoder().encode(text));
}

/** Makes `text` the text under a key. Where it cannot be kept the one before stays, and the answer is false. */
export async function replaceText(vault: Vault, key: string, text: string): Promise<boolean> {
  const before = await readText(vault, key);
  try {
    await writeText(vault, key, text);
    return true;
  } catch {
    // There was space for it, and there is again.
    if (before !== null) await writeText(vault, key, before).catch(() => undefined);
    return false;
  }
}

/** The error of a model that would have to be held in memory and is too large for it. */
export function tooMuchMemory(): NameLensError {
  const limit = `${MEMORY_LIMIT / 2 ** 30} GiB`;
  const why = "this browser offers no private file system (OPFS) in a worker here";
  return new NameLensError("memory", `the model is larger than ${limit}, the most that is held in memory: ${why}`);
}

/** What a browser threw while it kept a file. */
export function storageError(key: string, thrown: unknown): NameLensError {
  if (thrown instanceof NameLensError) return thrown;
  const { name, message } = thrown as { name?: unknown; message?: unknown };
  if (name === "QuotaExceededError") {
    return new NameLensError("quota", "the browser has no space left for the model", { cause: thrown });
  }
  return new NameLensError("storage", `keeping a file of the model (${key}): ${String(message ?? thrown)}`, { cause: thrown });
}
