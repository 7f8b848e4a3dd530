// One file of a model being written: in place, hashed as it grows, and under its own name only once its hash is right.

import { sha1 } from "@noble/hashes/legacy.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { fileHandle, PART, PLAN, READY, type PlannedFile } from "../models/store.js";
import { Problem } from "./problems.js";

/** What of the synchronous handle is used; the page's types do not know it, since only workers have it. */
interface SyncHandle {
  getSize(): number;
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** Bytes that are read at once when a part is hashed again. */
const PIECE = 4 << 20;
/** Bytes after which a part is made sure to be on disk. */
const FLUSH = 64 << 20;

/** A running hash; WebCrypto has none, it wants whole files in memory. */
interface Hash {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** Whether the file is here under its own name, which it has only when it is right. */
export async function isKept(folder: FileSystemDirectoryHandle, { path, bytes }: PlannedFile): Promise<boolean> {
  try {
    return (await (await fileHandle(folder, path)).getFile()).size === bytes;
  } catch {
    return false;
  }
}

/** Deletes what an earlier plan of the same model left, such as another of several GGUF files. */
export async function prune(folder: FileSystemDirectoryHandle, paths: readonly string[]): Promise<void> {
  const tops = paths.map((path) => path.split("/")[0] ?? path);
  const keep = new Set([PLAN, READY, ...tops, ...tops.map((top) => top + PART)]);
  for await (const name of folder.keys()) if (!keep.has(name)) await folder.removeEntry(name, { recursive: true });
}

/** A small text, written whole. */
export async function keepText(folder: FileSystemDirectoryHandle, name: string, text: string): Promise<void> {
  const handle = await openSync(await fileHandle(folder, name, { create: true }));
  try {
    const bytes = utf8ToBytes(text);
    handle.truncate(0);
    write(handle, bytes, 0);
    handle.flush();
  } finally {
    handle.close();
  }
}

/** A file of which a part may be here. */
export class Part {
  #hash: Hash;
  #size = 0;
  #flushed = 0;

  private constructor(
    readonly file: PlannedFile,
    private readonly folder: FileSystemDirectoryHandle,
    private readonly handle: SyncHandle,
  ) {
    this.#hash = hashOf(file);
  }

  /** Opens it, and hashes again what is there; `onRead` hears how far that is. */
  static async open(folder: FileSystemDirectoryHandle, file: PlannedFile, onRead: (done: number) => void, signal: AbortSignal): Promise<Part> {
    const entry = await fileHandle(folder, file.path + PART, { create: true });
    const part = new Part(file, folder, await openSync(entry));
    try {
      await part.#readAgain(onRead, signal);
    } catch (thrown) {
      part.close();
      throw thrown;
    }
    return part;
  }

  /** Bytes that are here. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes at the end. */
  append(bytes: Uint8Array): void {
    if (this.#size + bytes.byteLength > this.file.bytes) {
      this.restart();
      throw new Problem("damaged", `${this.file.path}: longer than the ${this.file.bytes} bytes it should have`);
    }
    write(this.handle, bytes, this.#size);
    this.#hash.update(bytes);
    this.#size += bytes.byteLength;
    if (this.#size - this.#flushed > FLUSH) {
      this.handle.flush();
      this.#flushed = this.#size;
    }
  }

  /** Throws away what is here. */
  restart(): void {
    this.handle.truncate(0);
    this.#hash = hashOf(this.file);
    this.#size = 0;
    this.#flushed = 0;
  }

  /** Gives the whole file its name. Throws `damaged`, and throws the file away, when its hash is another than the published one. */
  async finish(): Promise<void> {
    const { path, digest } = this.file;
    if (bytesToHex(this.#hash.digest()) !== digest.hex) {
      this.restart();
      throw new Problem("damaged", `${path}: its ${digest.kind} is not ${digest.hex}`);
    }
    this.handle.flush();
    this.handle.close();
    const entry = await fileHandle(this.folder, path + PART);
    const name = path.split("/").at(-1) ?? path;
    await (entry as unknown as { move(name: string): Promise<void> }).move(name);
  }

  /** Lets go of the file; what is here stays. Does nothing after the first time. */
  close(): void {
    this.handle.close();
  }

  async #readAgain(onRead: (done: number) => void, signal: AbortSignal): Promise<void> {
    const there = this.handle.getSize();
    if (there > this.file.bytes) return this.restart();
    const piece = new Uint8Array(Math.min(PIECE, there));
    while (this.#size < there) {
      if (signal.aborted) throw new Problem("paused");
      const read = this.handle.read(piece, { at: this.#size });
      if (read === 0) return this.restart();
      this.#hash.update(piece.subarray(0, read));
      this.#size += read;
      onRead(this.#size);
      // Lets the order to pause in.
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.#flushed = this.#size;
  }
}

function hashOf({ bytes, digest }: PlannedFile): Hash {
  return digest.kind === "sha256" ? sha256.create() : sha1.create().update(utf8ToBytes(`blob ${bytes}\0`));
}

function write(handle: SyncHandle, bytes: Uint8Array, at: number): void {
  // Some browsers write what fits and say no more.
  if (handle.write(bytes, { at }) < bytes.byteLength) throw new Problem("space");
}

/** A worker that was ended lets go of its files a moment later, so a locked file is tried again for a while. */
async function openSync(entry: FileSystemFileHandle): Promise<SyncHandle> {
  const file = entry as unknown as { createSyncAccessHandle?(): Promise<SyncHandle> };
  if (!file.createSyncAccessHandle) throw new Problem("storage", "files cannot be written in place here");
  for (let tries = 1; ; tries += 1) {
    try {
      return await file.createSyncAccessHandle();
    } catch (thrown) {
      if (tries === 20 || (thrown as { name?: unknown }).name !== "NoModificationAllowedError") throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
