// Where the bytes of a model stay between visits: the origin's private file system, else the Cache API.

/** A small store of byte strings by key; keys are file-name safe. Reading never throws: what cannot be read is absent. */
export interface ByteCache {
  get(key: string): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Returns whether the bytes were kept. */
  put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean>;
  delete(key: string): Promise<void>;
  keys(): Promise<string[]>;
}

const FOLDER = "namelens-models";

/** The best cache that this browser offers here. */
export async function openCache(): Promise<ByteCache> {
  return (await openPrivateFiles()) ?? (await openCacheStorage()) ?? nowhere;
}

async function openPrivateFiles(): Promise<ByteCache | null> {
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(FOLDER, { create: true });
    // Older Safari can only write through synchronous handles; it takes the Cache API instead.
    if (!("createWritable" in FileSystemFileHandle.prototype)) return null;
    return new PrivateFiles(folder);
  } catch {
    return null;
  }
}

class PrivateFiles implements ByteCache {
  readonly #folder: FileSystemDirectoryHandle;

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder;
  }

  async get(key: string): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      const file = await (await this.#folder.getFileHandle(key)).getFile();
      return new Uint8Array(await file.arrayBuffer());
    } catch {
      return null;
    }
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    try {
      const handle = await this.#folder.getFileHandle(key, { create: true });
      // The write becomes visible at `close`, all at once; a tab that dies before leaves the old file.
      const writable = await handle.createWritable();
      await writable.write(bytes);
      await writable.close();
      return true;
    } catch {
      return false; // no space: the model still works, it is just fetched again next time
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
}

async function openCacheStorage(): Promise<ByteCache | null> {
  try {
    return new CacheStorageFiles(await caches.open(FOLDER));
  } catch {
    return null;
  }
}

class CacheStorageFiles implements ByteCache {
  readonly #cache: Cache;

  constructor(cache: Cache) {
    this.#cache = cache;
  }

  async get(key: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const response = await this.#cache.match(this.#url(key)).catch(() => undefined);
    return response ? new Uint8Array(await response.arrayBuffer()) : null;
  }

  async put(key: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
    return this.#cache.put(this.#url(key), new Response(bytes)).then(
      () => true,
      () => false,
    );
  }

  async delete(key: string): Promise<void> {
    await this.#cache.delete(this.#url(key));
  }

  async keys(): Promise<string[]> {
    return (await this.#cache.keys()).map(({ url }) => decodeURIComponent(url.slice(url.lastIndexOf("/") + 1)));
  }

  #url(key: string): string {
    return `/${FOLDER}/${encodeURIComponent(key)}`;
  }
}

const nowhere: ByteCache = {
  get: async () => null,
  put: async () => false,
  delete: async () => undefined,
  keys: async () => [],
};
