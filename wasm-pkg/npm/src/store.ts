// Concepts between visits: IndexedDB, or memory when the visitor or the browser wants no traces.

import { NameLensError } from "./errors.js";
import type { Kept } from "./protocol.js";
import type { StoredConcept } from "./types.js";

/** Keeps concepts. Every change is one transaction: it happens whole or not at all. */
export interface ConceptStore {
  all(): Promise<StoredConcept[]>;
  get(id: string): Promise<StoredConcept | null>;
  put(concepts: readonly StoredConcept[]): Promise<void>;
  remove(id: string): Promise<void>;
  close(): void;
}

const DATABASE = "namelens";
const TABLE = "concepts";
const VERSION = 1;

/** A store that ends with the page. */
export class MemoryStore implements ConceptStore {
  readonly #concepts: Map<string, StoredConcept>;
  readonly #onChange: (change: Kept) => void;

  /** `before` is in it from the start; `onChange` hears of every change from then on. */
  constructor(before: readonly StoredConcept[] = [], onChange: (change: Kept) => void = () => undefined) {
    this.#concepts = new Map(before.map((concept) => [concept.id, concept]));
    this.#onChange = onChange;
  }

  async all(): Promise<StoredConcept[]> {
    return [...this.#concepts.values()];
  }

  async get(id: string): Promise<StoredConcept | null> {
    return this.#concepts.get(id) ?? null;
  }

  async put(concepts: readonly StoredConcept[]): Promise<void> {
    for (const concept of concepts) this.#concepts.set(concept.id, concept);
    this.#onChange({ put: concepts, removed: [] });
  }

  async remove(id: string): Promise<void> {
    this.#concepts.delete(id);
    this.#onChange({ put: [], removed: [id] });
  }

  close(): void {
    this.#concepts.clear();
  }
}

/** A store in the browser's database. */
export class DatabaseStore implements ConceptStore {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
    // Another tab that upgrades the database must not be blocked by this one.
    database.onversionchange = () => database.close();
  }

  /** The library of that name; each has a database of its own. Rejects with code `storage` where the browser has none for this page. */
  static async open(library?: string): Promise<DatabaseStore> {
    try {
      const request = indexedDB.open(library === undefined ? DATABASE : `${DATABASE}-${library}`, VERSION);
      request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "id" });
      return new DatabaseStore(await settled(request));
    } catch (cause) {
      throw storageError("opening the database", cause);
    }
  }

  all(): Promise<StoredConcept[]> {
    return this.#within("readonly", "reading the concepts", (table) => table.getAll());
  }

  async get(id: string): Promise<StoredConcept | null> {
    const found = await this.#within("readonly", "reading a concept", (table) => table.get(id));
    return (found as StoredConcept | undefined) ?? null;
  }

  async put(concepts: readonly StoredConcept[]): Promise<void> {
    await this.#within("readwrite", "keeping a concept", (table) => {
      for (const concept of concepts) table.put(concept);
      return null;
    });
  }

  async remove(id: string): Promise<void> {
    await this.#within("readwrite", "deleting a concept", (table) => table.delete(id));
  }

  close(): void {
    this.#database.close();
  }

  async #within<T>(
    mode: IDBTransactionMode,
    doing: string,
    body: (table: IDBObjectStore) => IDBRequest<T> | null,
  ): Promise<T> {
    try {
      const transaction = this.#database.transaction(TABLE, mode);
      const request = body(transaction.objectStore(TABLE));
      // Only a completed transaction is on disk; a successful request alone may still be rolled back.
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error);
        transaction.onerror = () => reject(transaction.error);
      });
      return request?.result as T;
    } catch (cause) {
      throw storageError(doing, cause);
    }
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function storageError(doing: string, cause: unknown): NameLensError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NameLensError("storage", `${doing}: ${why}`, { cause });
}
