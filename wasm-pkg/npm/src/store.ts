// Concepts between visits: IndexedDB, or memory when the visitor or the browser wants no traces.

import { NameLensError } from "./errors.js";
import type { Kept } from "./protocol.js";
import type { StoredConcept } from "./types.js";

/** Which change was the last one; null before the first. */
export type Revision = number | null;

/** What is kept, and as of which change. */
export interface Shelf {
  readonly concepts: StoredConcept[];
  readonly revision: Revision;
}

/**
 * Keeps concepts. Every change is one transaction: it happens whole or not at all. It names the revision that it builds on, rejects with
 * {@link OutrunError} where that is not the last one any more, and returns its own.
 */
export interface ConceptStore {
  all(): Promise<Shelf>;
  get(id: string): Promise<StoredConcept | null>;
  put(concepts: readonly StoredConcept[], seen: Revision): Promise<Revision>;
  remove(id: string, seen: Revision): Promise<Revision>;
  close(): void;
}

/** Another tab, or another engine of this page, changed the concepts in between. */
export class OutrunError extends NameLensError {
  constructor() {
    super("storage", "the things were changed elsewhere at the same time", { hint: "Try again." });
  }
}

const DATABASE = "namelens";
const TABLE = "concepts";
/** Holds the revision, under its name. */
const STATE = "state";
const REVISION = "revision";
const VERSION = 2;

/** A store that ends with the page. */
export class MemoryStore implements ConceptStore {
  readonly #concepts: Map<string, StoredConcept>;
  readonly #onChange: (change: Kept) => void;

  /** `before` is in it from the start; `onChange` hears of every change from then on. */
  constructor(before: readonly StoredConcept[] = [], onChange: (change: Kept) => void = () => undefined) {
    this.#concepts = new Map(before.map((concept) => [concept.id, concept]));
    this.#onChange = onChange;
  }

  async all(): Promise<Shelf> {
    return { concepts: [...this.#concepts.values()], revision: null };
  }

  async get(id: string): Promise<StoredConcept | null> {
    return this.#concepts.get(id) ?? null;
  }

  async put(concepts: readonly StoredConcept[]): Promise<Revision> {
    for (const concept of concepts) this.#concepts.set(concept.id, concept);
    this.#onChange({ put: concepts, removed: [] });
    return null;
  }

  async remove(id: string): Promise<Revision> {
    this.#concepts.delete(id);
    this.#onChange({ put: [], removed: [id] });
    return null;
  }

  close(): void {
    this.#concepts.clear();
  }
}

/** A store in the browser's database. */
export class DatabaseStore implements ConceptStore {
  readonly #name: string;
  #database: IDBDatabase;
  #closed = false;

  private constructor(name: string, database: IDBDatabase) {
    this.#name = name;
    this.#database = database;
  }

  /** The library of that name; each has a database of its own. Rejects with code `storage` where the browser has none for this page. */
  static async open(library?: string): Promise<DatabaseStore> {
    const name = library === undefined ? DATABASE : `${DATABASE}-${library}`;
    try {
      return new DatabaseStore(name, await connect(name));
    } catch (cause) {
      throw storageError("opening the database", cause);
    }
  }

  all(): Promise<Shelf> {
    return this.#within("readonly", "reading the concepts", (table, state) => {
      const [concepts, revision] = [table.getAll(), state.get(REVISION)];
      return () => ({ concepts: inOrder(concepts.result as StoredConcept[]), revision: (revision.result as Revision | undefined) ?? null });
    });
  }

  get(id: string): Promise<StoredConcept | null> {
    return this.#within("readonly", "reading a concept", (table) => {
      const found = table.get(id);
      return () => (found.result as StoredConcept | undefined) ?? null;
    });
  }

  put(concepts: readonly StoredConcept[], seen: Revision): Promise<Revision> {
    return this.#change("keeping a concept", seen, (table) => {
      for (const concept of concepts) table.put(concept);
    });
  }

  remove(id: string, seen: Revision): Promise<Revision> {
    return this.#change("deleting a concept", seen, (table) => table.delete(id));
  }

  close(): void {
    this.#closed = true;
    this.#database.close();
  }

  async #change(doing: string, seen: Revision, body: (table: IDBObjectStore) => void): Promise<Revision> {
    // Not counted: a database that was cleared begins anew, and must not come by a revision that somebody has seen.
    const revision = Math.random();
    let outrun = false;
    const change = this.#within("readwrite", doing, (table, state) => {
      const last = state.get(REVISION);
      last.onsuccess = () => {
        outrun = ((last.result as Revision | undefined) ?? null) !== seen;
        if (outrun) return state.transaction.abort();
        body(table);
        state.put(revision, REVISION);
      };
      return () => revision;
    });
    return change.catch((thrown: unknown) => {
      throw outrun ? new OutrunError() : thrown;
    });
  }

  async #within<T>(mode: IDBTransactionMode, doing: string, body: (table: IDBObjectStore, state: IDBObjectStore) => () => T): Promise<T> {
    try {
      return await transact(this.#database, mode, body);
    } catch (thrown) {
      // The browser ends connections: when the visitor clears the page's data, when its own database server falls.
      if (this.#closed || (thrown as { name?: unknown } | null)?.name !== "InvalidStateError") throw storageError(doing, thrown);
    }
    try {
      this.#database = await connect(this.#name);
      return await transact(this.#database, mode, body);
    } catch (thrown) {
      throw storageError(doing, thrown);
    }
  }
}

/** Oldest first: the database has them by their ids, which say nothing. */
function inOrder(concepts: StoredConcept[]): StoredConcept[] {
  return concepts.sort((a, b) => a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1));
}

async function connect(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, VERSION);
  request.onupgradeneeded = ({ oldVersion }) => {
    if (oldVersion < 1) request.result.createObjectStore(TABLE, { keyPath: "id" });
    request.result.createObjectStore(STATE);
  };
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  // Another tab that upgrades the database must not be blocked by this one.
  database.onversionchange = () => database.close();
  return database;
}

/** What `body` finds once its transaction is complete: only then it is on disk, and a request that succeeded may still be rolled back. */
async function transact<T>(
  database: IDBDatabase,
  mode: IDBTransactionMode,
  body: (table: IDBObjectStore, state: IDBObjectStore) => () => T,
): Promise<T> {
  const transaction = database.transaction([TABLE, STATE], mode);
  const found = body(transaction.objectStore(TABLE), transaction.objectStore(STATE));
  await new Promise<void>((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
  return found();
}

function storageError(doing: string, cause: unknown): NameLensError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NameLensError("storage", `${doing}: ${why}`, { cause });
}
