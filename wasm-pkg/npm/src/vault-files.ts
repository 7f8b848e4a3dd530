// Files of models in the origin's private file system, where they stay between visits.

import { NameLensError } from "./errors.js";
import { storageError, type Slot, type Vault } from "./vault.js";

/** What of the synchronous handle is used; the page's types do not know it, since only workers have it. */
interface SyncHandle {
  getSize(): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** Whether files can be written in place: only workers can. */
export const inWorker = (): boolean => "createSyncAccessHandle" in FileSystemFileHandle.prototype;

/** The files in one folder. */
export class PrivateFiles implements Vault {
  readonly lasting = true;
  readonly #folder: FileSystemDirectoryHandle;

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  async read(key: string): Promise<Blob | null> {
    try {
      return await (await this.#folder.getFileHandle(key)).getFile();
    } catch {
      return null;
    }
  }

  async slot(key: string): Promise<Slot> {
    try {
      const handle = await this.#folder.getFileHandle(key, { create: true });
      if (inWorker()) return new SyncSlot(await openSync(handle), key);
      const { size } = await handle.getFile();
      return new WritableSlot(await handle.createWritable({ keepExistingData: true }), key, size);
    } catch (thrown) {
      throw storageError(key, thrown);
    }
  }

  async delete(key: string): Promise<void> {
    await this.#folder.removeEntry(key).catch(() => undefined);
  }

  async keys(): Promise<string[]> {
    const found: string[] = [];
    for await (const name of this.#folder.keys()) found.push(name);
    return found;
  }

  async free(): Promise<number | null> {
    const { quota, usage } = await navigator.storage.estimate().catch((): StorageEstimate => ({}));
    return quota === undefined || usage === undefined ? null : quota - usage;
  }
}

/** A worker that was ended lets go of its files a moment later, so a locked file is tried again for a while. */
async function openSync(handle: FileSystemFileHandle): Promise<SyncHandle> {
  const file = handle as unknown as { createSyncAccessHandle(): Promise<SyncHandle> };
  for (let tries = 1; ; tries += 1) {
    try {
      return await file.createSyncAccessHandle();
    } catch (thrown) {
      if (tries === 20 || (thrown as { name?: unknown }).name !== "NoModificationAllowedError") throw thrown;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

class SyncSlot implements Slot {
  readonly #handle: SyncHandle;
  readonly #key: string;

  constructor(handle: SyncHandle, key: string) {
    this.#handle = handle;
    this.#key = key;
  }

  get size(): number {
    return this.#handle.getSize();
  }

  async write(bytes: Uint8Array, at: number): Promise<void> {
    let written: number;
    try {
      written = this.#handle.write(bytes, { at });
    } catch (thrown) {
      throw storageError(this.#key, thrown);
    }
    // Some browsers write what fits and say no more.
    if (written < bytes.byteLength) throw new NameLensError("quota", "the browser has no space left for the model");
  }

  async truncate(size: number): Promise<void> {
    this.#handle.truncate(size);
  }

  async flush(): Promise<boolean> {
    this.#handle.flush();
    return true;
  }

  async close(): Promise<void> {
    this.#handle.close();
  }
}

/** In the page itself: what is written shows when the file is closed, all at once. */
class WritableSlot implements Slot {
  readonly #writable: FileSystemWritableFileStream;
  readonly #key: string;
  #size: number;

  constructor(writable: FileSystemWritableFileStream, key: string, size: number) {
    this.#writable = writable;
    this.#key = key;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  async write(data: Uint8Array<ArrayBuffer>, position: number): Promise<void> {
    await this.#writable.write({ type: "write", position, data }).catch((thrown: unknown) => {
      throw storageError(this.#key, thrown);
    });
    this.#size = Math.max(this.#size, position + data.byteLength);
  }

  async truncate(size: number): Promise<void> {
    await this.#writable.truncate(size);
    this.#size = size;
  }

  async flush(): Promise<boolean> {
    return false;
  }

  async close(): Promise<void> {
    // A stream that failed cannot be closed and has changed nothing.
    await this.#writable.close().catch(() => undefined);
  }
}
