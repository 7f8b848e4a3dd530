// Files of models in memory, for want of a file system: they end with the page.

import { MEMORY_LIMIT, tooMuchMemory, type Slot, type Vault } from "./vault.js";

/** The files of this visit. `limit` is in bytes, over all of them. */
export class MemoryVault implements Vault {
  readonly lasting = false;
  readonly #limit: number;
  readonly #files = new Map<string, Blob>();

  constructor(limit = MEMORY_LIMIT) {
    this.#limit = limit;
  }

  async read(key: string): Promise<Blob | null> {
    return this.#files.get(key) ?? null;
  }

  async slot(key: string): Promise<Slot> {
    const others = [...this.#files].reduce((sum, [other, { size }]) => (other === key ? sum : sum + size), 0);
    return new MemorySlot(this.#files.get(key), this.#limit - others, (blob) => this.#files.set(key, blob));
  }

  async delete(key: string): Promise<void> {
    this.#files.delete(key);
  }

  async keys(): Promise<string[]> {
    return [...this.#files.keys()];
  }

  async free(): Promise<number | null> {
    return null;
  }
}

class MemorySlot implements Slot {
  #parts: BlobPart[];
  #size: number;
  readonly #limit: number;
  readonly #keep: (blob: Blob) => void;

  constructor(before: Blob | undefined, limit: number, keep: (blob: Blob) => void) {
    this.#parts = before ? [before] : [];
    this.#size = before?.size ?? 0;
    this.#limit = limit;
    this.#keep = keep;
  }

  get size(): number {
    return this.#size;
  }

  async write(bytes: Uint8Array<ArrayBuffer>, at: number): Promise<void> {
    if (at !== this.#size) await this.truncate(at);
    this.#size += bytes.byteLength;
    if (this.#size > this.#limit) throw tooMuchMemory();
    this.#parts.push(bytes);
  }

  async truncate(size: number): Promise<void> {
    this.#parts = size === 0 ? [] : [new Blob(this.#parts).slice(0, size)];
    this.#size = size;
  }

  async flush(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    this.#keep(new Blob(this.#parts));
  }
}
