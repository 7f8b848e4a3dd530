// One file of a model, fetched once and kept: locked against other tabs, resumed, checked, given out as a `Blob`.

import { asError, NameLensError } from "./errors.js";
import { transfer, type Note, type Target, type TransferOptions } from "./transfer.js";
import { readText, writeText, type Vault } from "./vault.js";

/** A digest under way; SHA-256 in hexadecimal at the end. */
export interface Digest {
  update(bytes: Uint8Array): void;
  finish(): string;
}

/** What keeping files needs besides the files. */
export interface Keeper {
  readonly vault: Vault;
  readonly signal: AbortSignal;
  /** Opens a digest; waits for the engine, which computes it. */
  readonly digest: () => Promise<Digest>;
  readonly onProgress: (stage: "download" | "verify", name: string, done: number, total: number) => void;
  readonly patienceMs?: TransferOptions["patienceMs"];
}

/** A file that a manifest describes. */
export interface Published {
  readonly name: string;
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a server says of a file now. */
export interface Current {
  readonly url: string;
  readonly name: string;
  readonly binary: boolean;
  readonly bytes: number | null;
  readonly validator: string | null;
}

const PIECE = 4 * 2 ** 20;
const noteKey = (key: string): string => `${key}.part`;

/** The file with that digest, from the vault or the network. Rejects with `integrity` when a second copy is wrong too. */
export function keepPublished(file: Published, keeper: Keeper): Promise<Blob> {
  const key = file.sha256;
  return locked(key, keeper.signal, async () => {
    const before = await sound(file, keeper);
    if (before) return before;
    const target = { url: file.url, bytes: file.bytes, checked: true, binary: true };
    // The second try goes past every cache, which may hold a damaged or an older copy.
    for (const cache of [keeper.vault.lasting ? "no-store" : "default", "reload"] as const) {
      try {
        await fetchInto(key, file.name, target, keeper, cache);
      } catch (thrown) {
        if (asError(thrown).code !== "integrity") throw thrown;
      }
      const blob = await sound(file, keeper);
      if (blob) return blob;
      await forget(key, keeper.vault);
    }
    throw new NameLensError(
      "integrity",
      `${file.name} from ${file.url} is not the file its manifest describes (${file.bytes} bytes, SHA-256 ${file.sha256})`,
    );
  });
}

/** The file as the server has it now, from the vault when that is the same one. */
export function keepCurrent(key: string, file: Current, keeper: Keeper): Promise<Blob> {
  return locked(key, keeper.signal, async () => {
    const { vault } = keeper;
    const note = await readNote(key, vault);
    const kept = await keptWhole(key, vault);
    if (kept && note && isSame(note, file)) return kept;
    // A whole file that is not the current one is no beginning of it; a part is one only with the very same validator.
    if (note?.whole || (note && file.validator !== null && note.validator !== file.validator)) await forget(key, vault);
    const target = { url: file.url, bytes: null, checked: false, binary: file.binary };
    await fetchInto(key, file.name, target, keeper, vault.lasting ? "no-store" : "default");
    const blob = await vault.read(key);
    if (!blob) throw new NameLensError("storage", `${file.name}: the browser did not keep it`);
    return blob;
  });
}

/** A file that was fetched whole before, whatever the server has now; null when there is none. */
export async function keptWhole(key: string, vault: Vault): Promise<Blob | null> {
  const [note, blob] = [await readNote(key, vault), await vault.read(key)];
  return blob && note?.whole && blob.size === note.bytes ? blob : null;
}

/** Whether the file as the server has it now is kept whole. */
export async function isKept(key: string, file: Current, vault: Vault): Promise<boolean> {
  const note = await readNote(key, vault);
  return note !== null && isSame(note, file) && (await keptWhole(key, vault)) !== null;
}

/** What `keep` keeps; where there is no space for it, `free` makes some, and it is tried once more. */
export async function makingRoom<T>(keep: () => Promise<T>, free: () => Promise<void>): Promise<T> {
  try {
    return await keep();
  } catch (thrown) {
    if (asError(thrown).code !== "quota") throw thrown;
    await free();
    return keep();
  }
}

/** What a validator says of a whole file: servers that compress it on the way mark the same one as weak. */
export const weakly = (validator: string): string => validator.replace(/^W\//, "");

/** Deletes a file and its note. */
export async function forget(key: string, vault: Vault): Promise<void> {
  await vault.delete(noteKey(key));
  await vault.delete(key);
}

function isSame(note: Note, { binary, bytes, validator }: Current): boolean {
  if (validator !== null && note.validator !== null) return weakly(validator) === weakly(note.validator);
  return binary && bytes !== null && bytes === note.bytes;
}

/** The kept file, if it is whole and has the right digest. */
async function sound(file: Published, keeper: Keeper): Promise<Blob | null> {
  const blob = await keeper.vault.read(file.sha256);
  if (!blob || blob.size !== file.bytes) return null;
  const digest = await keeper.digest();
  for (let at = 0; at < blob.size; at += PIECE) {
    if (keeper.signal.aborted) throw new DOMException("stopped", "AbortError");
    try {
      digest.update(new Uint8Array(await blob.slice(at, at + PIECE).arrayBuffer()));
    } catch {
      return null; // unreadable: as good as gone
    }
    keeper.onProgress("verify", file.name, Math.min(at + PIECE, blob.size), blob.size);
  }
  if (digest.finish() === file.sha256) return blob;
  await forget(file.sha256, keeper.vault);
  return null;
}

async function fetchInto(key: string, name: string, target: Target, keeper: Keeper, cache: RequestCache): Promise<void> {
  const { vault, signal, patienceMs } = keeper;
  const note = await readNote(key, vault);
  const slot = await vault.slot(key);
  let last = note;
  const write = (): Promise<void> => (last ? writeText(vault, noteKey(key), JSON.stringify(last)) : Promise.resolve());
  try {
    last = await transfer(target, slot, note, {
      signal,
      cache,
      ...(patienceMs === undefined ? {} : { patienceMs }),
      free: () => vault.free(),
      onProgress: (done, total) => keeper.onProgress("download", name, done, total),
      save: async (note, safe) => {
        last = note;
        if (safe) await write();
      },
    });
  } finally {
    await slot.close();
    // Without space for the note the file is only fetched from its start again.
    await write().catch(() => undefined);
  }
}

async function readNote(key: string, vault: Vault): Promise<Note | null> {
  try {
    const { bytes, total, validator, whole } = JSON.parse((await readText(vault, noteKey(key))) ?? "") as Note;
    const sound = Number.isSafeInteger(bytes) && bytes >= 0 && (total === null || Number.isSafeInteger(total));
    if (!sound || (validator !== null && typeof validator !== "string")) return null;
    return { bytes, total, validator, whole: whole === true };
  } catch {
    return null;
  }
}

/** Runs `body` while no other tab works on the same file. */
async function locked<T>(key: string, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
  const { locks } = globalThis.navigator ?? {};
  if (!locks) return body();
  let begun = false;
  const inside = (): Promise<T> => {
    begun = true;
    return body();
  };
  try {
    return (await locks.request(`namelens-models/${key}`, { signal }, inside)) as T;
  } catch (thrown) {
    if (begun || signal.aborted) throw thrown;
    // A page that may keep nothing, such as one in a sandbox, may lock nothing either.
    return body();
  }
}
