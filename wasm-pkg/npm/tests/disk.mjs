// A private file system and a database in Node, as far as the package uses them, whose space and faults a test decides.

const usage = ({ folders }) => [...folders.values()].flatMap((files) => [...files.values()]).reduce((sum, { bytes }) => sum + bytes.length, 0);

/**
 * Puts a fresh disk in place of the browser's. `folders` has files by name, each with `bytes` and `time`; `fails(name, bytes)` says what cannot
 * be written, `quota` is in bytes, `written` has the names of all that was opened for writing.
 */
export function newDisk() {
  const disk = { folders: new Map(), quota: Infinity, fails: () => false, written: [], databases: new Map(), refuses: () => false };
  const directory = (files) => ({
    async getFileHandle(name, { create = false } = {}) {
      if (!files.has(name)) {
        if (!create) throw new DOMException(name, "NotFoundError");
        files.set(name, { bytes: new Uint8Array(), time: Date.now(), locked: false });
      }
      return Object.assign(new globalThis.FileSystemFileHandle(), { disk, name, file: files.get(name) });
    },
    async removeEntry(name) {
      if (files.get(name)?.locked) throw new DOMException(name, "NoModificationAllowedError");
      if (!files.delete(name)) throw new DOMException(name, "NotFoundError");
    },
    async *keys() {
      yield* [...files.keys()];
    },
  });
  const root = {
    async getDirectoryHandle(name) {
      if (!disk.folders.has(name)) disk.folders.set(name, new Map());
      return directory(disk.folders.get(name));
    },
  };
  const storage = { getDirectory: async () => root, estimate: async () => ({ quota: disk.quota, usage: usage(disk) }) };
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { storage } });
  globalThis.FileSystemFileHandle = FileHandle;
  globalThis.indexedDB = { open: (name) => opened(disk, name) };
  return disk;
}

class FileHandle {
  async getFile() {
    const { bytes, time, size = bytes.length } = this.file;
    return Object.defineProperty(new File([bytes], this.name, { lastModified: time }), "size", { value: size });
  }

  async createSyncAccessHandle() {
    const { disk, name, file } = this;
    if (file.locked) throw new DOMException(name, "NoModificationAllowedError");
    file.locked = true;
    disk.written.push(name);
    const resize = (size) => {
      const before = file.bytes;
      file.bytes = new Uint8Array(size);
      file.bytes.set(before.subarray(0, size));
      file.time = Date.now();
    };
    return {
      getSize: () => file.bytes.length,
      truncate: resize,
      write(bytes, { at }) {
        const grown = Math.max(0, at + bytes.length - file.bytes.length);
        const fails = disk.fails(name, bytes);
        if (fails || usage(disk) + grown > disk.quota) {
          if (fails) resize(at + (bytes.length >> 1)); // a part of it is on disk all the same
          throw new DOMException("no space left", "QuotaExceededError");
        }
        if (grown > 0) resize(at + bytes.length);
        file.bytes.set(bytes, at);
        return bytes.length;
      },
      flush: () => undefined,
      close: () => (file.locked = false),
    };
  }
}

/** The request for a database whose tables are maps; `disk.refuses(what)` says which changes (`delete`, `put`) fail. */
function opened(disk, name) {
  const request = {};
  const tables = disk.databases.get(name) ?? new Map();
  const createObjectStore = (table) => void tables.set(table, new Map());
  request.result = { createObjectStore, transaction: () => transaction(disk, tables), close: () => undefined };
  setImmediate(() => {
    if (!disk.databases.has(name)) request.onupgradeneeded?.({ oldVersion: 0 });
    disk.databases.set(name, tables);
    request.onsuccess();
  });
  return request;
}

function transaction(disk, tables) {
  const before = new Map([...tables].map(([name, rows]) => [name, new Map(rows)]));
  const waiting = [];
  const self = { error: null, ended: false };
  self.abort = (error = null) => {
    Object.assign(self, { error, ended: true });
    for (const [name, rows] of before) tables.set(name, rows);
    setImmediate(() => self.onabort());
  };
  const ask = (what, body) => {
    const request = {};
    waiting.push(() => {
      if (disk.refuses(what)) return self.abort(new DOMException("refused", "UnknownError"));
      request.result = body();
      request.onsuccess?.();
    });
    return request;
  };
  self.objectStore = (name) => {
    const rows = tables.get(name);
    return {
      transaction: self,
      get: (key) => ask("get", () => rows.get(key)),
      getAll: () => ask("getAll", () => [...rows.values()]),
      put: (value, key = value.id) => ask("put", () => void rows.set(key, structuredClone(value))),
      delete: (key) => ask("delete", () => void rows.delete(key)),
    };
  };
  const run = () => {
    if (self.ended) return;
    const next = waiting.shift();
    if (!next) return self.oncomplete();
    next();
    setImmediate(run);
  };
  setImmediate(run);
  return self;
}
