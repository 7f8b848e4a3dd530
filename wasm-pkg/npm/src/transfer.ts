// One file over the network into a slot: goes on where an earlier try, visit or connection broke off.

import { cancelled, NameLensError } from "./errors.js";
import type { Slot } from "./vault.js";

/** What is remembered of a file on its way, and of one that is whole. */
export interface Note {
  /** Bytes that are safely in the slot. */
  readonly bytes: number;
  /** Bytes of the whole file, when the server said. */
  readonly total: number | null;
  /** The server's ETag, else its Last-Modified date: while it stays, so does the file. */
  readonly validator: string | null;
  readonly whole: boolean;
}

/** The file to fetch. */
export interface Target {
  readonly url: string;
  /** Its size, where a manifest tells. */
  readonly bytes: number | null;
  /** Whether the bytes are checked afterwards, so that a resumed file need not be proved the same beforehand. */
  readonly checked: boolean;
  /** Weights: asked for by range from the start, which keeps servers from compressing them. */
  readonly binary: boolean;
}

export interface TransferOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
  /** Hears how far the file is; `safe` when that would survive a crash, so that the note is worth keeping. */
  readonly save: (note: Note, safe: boolean) => Promise<void>;
  readonly cache?: RequestCache;
  /** Bytes that may still be written; null when nobody knows. */
  readonly free?: () => Promise<number | null>;
  /** Milliseconds before the first new try; doubles with every try that brings nothing. */
  readonly patienceMs?: number;
}

/** Bytes between two notes: what a crash can cost. */
const STRIDE = 16 * 2 ** 20;
/** Tries in a row that may bring nothing. */
const IDLE_TRIES = 3;
/** Times a file may begin anew because the server has another one. */
const RESTARTS = 3;

/**
 * Fetches `target` into `slot`, which it leaves open, and returns the note of the whole file. What arrived stays in
 * the slot with its note, also on failure. Rejects with `network`, `http`, `quota`, `integrity`, `memory` or `cancelled`.
 */
export async function transfer(target: Target, slot: Slot, note: Note | null, options: TransferOptions): Promise<Note> {
  let state = startingPoint(target, slot.size, note);
  const move = (next: Note): void => void (state = next);
  let restarts = 0;
  let furthest = state.bytes;
  for (let idle = 0; ; ) {
    try {
      if (await attempt(target, slot, state, move, options)) return state;
      restarts += 1; // the server has another file than the one that began
      if (restarts > RESTARTS) throw new NameLensError("integrity", `${target.url}: changes while it is fetched`);
    } catch (thrown) {
      if (options.signal.aborted) throw cancelled(options.signal);
      if (!(thrown instanceof NameLensError) || thrown.code !== "network") throw thrown;
      idle = target.binary && state.bytes > furthest ? 0 : idle + 1;
      if (idle === IDLE_TRIES) throw thrown;
      furthest = Math.max(furthest, state.bytes);
      if (!target.binary) state = NOTHING; // its bytes may have been compressed, and ranges count those
      await pause((options.patienceMs ?? 500) * 2 ** idle, options.signal);
    }
  }
}

/** The note to go on from: what is proved to be there, or nothing. */
export function startingPoint(target: Target, size: number, note: Note | null): Note {
  const bytes = Math.min(note?.bytes ?? 0, size);
  const known = note !== null && target.binary && (target.checked || note.validator !== null);
  const fits = target.bytes === null || bytes <= target.bytes;
  return known && fits && !note.whole ? { ...note, bytes } : NOTHING;
}

const NOTHING: Note = { bytes: 0, total: null, validator: null, whole: false };

/** What a server's answer says about the file. */
export interface Reply {
  readonly status: number;
  readonly contentRange: string | null;
  readonly contentLength: number | null;
  readonly validator: string | null;
  /** The body is compressed on the way, so lengths are not the file's. */
  readonly encoded: boolean;
}

/** What to do with an answer: take its body at `from` on, ask again from the start, or be done. */
export type Step =
  | { readonly kind: "body"; readonly from: number; readonly total: number | null }
  | { readonly kind: "restart" }
  | { readonly kind: "whole" }
  | { readonly kind: "refused" };

/** Judges an answer to a request that went on from `state`. */
export function judge(state: Note, reply: Reply): Step {
  const { status, contentLength: length } = reply;
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(reply.contentRange ?? "");
  const total = range?.[2] && range[2] !== "*" ? Number(range[2]) : null;
  const differs = (size: number | null): boolean => state.total !== null && size !== null && state.total !== size;
  const another = state.validator !== null && reply.validator !== null && state.validator !== reply.validator;
  if (status === 206) {
    // Content-Range may be hidden from another origin; the answer then is what was asked for.
    const start = range?.[1] === undefined ? state.bytes : Number(range[1]);
    const size = total ?? (length === null || reply.encoded ? null : start + length);
    // Where only one of them has a validator, nothing proves that the rest belongs to the beginning.
    const unproved = (state.validator === null) !== (reply.validator === null);
    if (state.bytes > 0 && (another || unproved || differs(size) || start !== state.bytes)) return { kind: "restart" };
    if (start !== state.bytes) return { kind: "refused" };
    return { kind: "body", from: start, total: size };
  }
  // The whole file: the server knows no ranges, or the file is not the one that began.
  if (status === 200) return { kind: "body", from: 0, total: reply.encoded ? null : length };
  if (status === 416) {
    if (state.bytes === 0) return { kind: "whole" }; // an empty file has no first byte
    return (total ?? state.total) === state.bytes && !another && !differs(total) ? { kind: "whole" } : { kind: "restart" };
  }
  return { kind: "refused" };
}

/** One request. Returns whether the file is whole; false asks for another try from the start. */
async function attempt(
  target: Target,
  slot: Slot,
  state: Note,
  move: (note: Note) => void,
  options: TransferOptions,
): Promise<boolean> {
  const finish = async (note: Note): Promise<boolean> => {
    await slot.truncate(note.bytes);
    await slot.flush();
    move({ ...note, total: note.bytes, whole: true });
    return true;
  };
  if (target.bytes !== null && state.bytes === target.bytes) return finish(state);
  const response = await ask(target, state, options);
  const reply = replyOf(response);
  const step = judge(state, reply);
  if (step.kind !== "body") await response.body?.cancel();
  if (step.kind === "refused") throw new NameLensError("http", `${target.url}: the server answered ${response.status}`);
  if (step.kind === "whole") return finish(state);
  if (step.kind === "restart") {
    move(NOTHING);
    return false;
  }
  // Compressed texts have other lengths on the way.
  const total = target.bytes ?? (target.binary ? step.total : null);
  const note = { bytes: step.from, total, validator: reply.validator, whole: false };
  const reader = response.body?.getReader();
  try {
    await checkSpace(target.url, note, slot.size - step.from, options);
    await slot.truncate(step.from);
    move(note);
    return await finish(await receive(target.url, reader, slot, note, move, options));
  } catch (thrown) {
    await reader?.cancel().catch(() => undefined);
    throw thrown;
  }
}

/** Writes a body into the slot. Returns the note of its end; on failure the last note is kept. */
async function receive(
  url: string,
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined,
  slot: Slot,
  start: Note,
  move: (note: Note) => void,
  { signal, onProgress, save }: TransferOptions,
): Promise<Note> {
  const { total } = start;
  let note = start;
  let saved = note.bytes;
  const keep = async (): Promise<void> => {
    saved = note.bytes;
    await save(note, await slot.flush());
  };
  try {
    await keep();
    for (;;) {
      const next = await reader?.read().catch((thrown: unknown) => {
        throw broken(url, thrown);
      });
      if (signal.aborted) throw cancelled(signal);
      if (!next || next.done) break;
      if (total !== null && note.bytes + next.value.byteLength > total) {
        throw new NameLensError("integrity", `${url}: longer than the ${total} bytes it should have`);
      }
      await slot.write(next.value, note.bytes);
      note = { ...note, bytes: note.bytes + next.value.byteLength };
      move(note);
      onProgress(note.bytes, total ?? 0);
      if (note.bytes - saved >= STRIDE) await keep();
    }
    // Some servers and proxies end a broken answer as if it were whole.
    if (total !== null && note.bytes < total) throw broken(url, `ended after ${note.bytes} of ${total} bytes`);
    return note;
  } catch (thrown) {
    await keep().catch(() => undefined); // what failed first is what counts
    throw thrown;
  }
}

/** Refuses a file that the browser has no space for before it is fetched; `dropped` are bytes that make room for it. */
async function checkSpace(url: string, { bytes, total }: Note, dropped: number, { free }: TransferOptions): Promise<void> {
  const left = total === null ? null : await free?.();
  if (total === null || typeof left !== "number") return;
  const room = left + dropped;
  if (total - bytes <= room) return;
  const megabytes = (count: number): string => `${Math.ceil(count / 2 ** 20)} MB`;
  throw new NameLensError("quota", `${url}: ${megabytes(total - bytes)} are to come, and the browser keeps ${megabytes(room)} more`);
}

async function ask(target: Target, { bytes }: Note, { signal, cache }: TransferOptions): Promise<Response> {
  const headers = new Headers();
  // No If-Range: another origin, to which any address may redirect, would have to consent to it first. `judge` compares instead.
  if (bytes > 0 || target.binary) headers.set("range", `bytes=${bytes}-`);
  try {
    return await fetch(target.url, { signal, headers, ...(cache ? { cache } : {}) });
  } catch (thrown) {
    throw broken(target.url, thrown);
  }
}

/** The facts of a response, as far as its server lets them be seen. */
export function replyOf({ status, headers }: Response): Reply {
  const length = headers.get("content-length");
  return {
    status,
    contentRange: headers.get("content-range"),
    contentLength: length === null ? null : Number(length),
    validator: headers.get("etag") ?? headers.get("last-modified"),
    encoded: !["", "identity"].includes(headers.get("content-encoding") ?? ""),
  };
}

function broken(url: string, thrown: unknown): NameLensError {
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  return new NameLensError("network", `${url}: ${why}`, { cause: thrown });
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(cancelled(signal));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}
