// The concepts of an engine and of its store: a change is made in both or in neither, and what others do to the store is followed.

import type { Engine } from "./engine.js";
import { asInfo, NameLensError, type ErrorInfo } from "./errors.js";
import type { Calls, Kept, ReferencePhoto } from "./protocol.js";
import { DatabaseStore, MemoryStore, OutrunError, type ConceptStore, type Revision } from "./store.js";
import { KeptTokens } from "./tokens.js";
import type { Concept, ImportNotes, LoadProgress, StoredConcept } from "./types.js";

const CHANNEL = "namelens-concepts";
/** How often a change is begun again because others were quicker. */
const TRIES = 5;

/** Where concepts are kept. */
export interface Keeping {
  readonly storage: "indexeddb" | "memory";
  readonly library?: string | undefined;
  /** What a store in memory begins with. */
  readonly before: readonly StoredConcept[];
  /** Hears of what is kept in memory only, for the host that follows this one. */
  readonly onKept: (change: Kept) => void;
  /** Hears that others changed the concepts. */
  readonly onChanged: () => void;
  /** Runs a task when the engine is free. */
  readonly inTurn: (task: () => Promise<void>) => Promise<void>;
}

/** The concepts of one engine. Nothing of it may be called while another call of it or of the engine runs. */
export class KeptConcepts {
  readonly #engine: Engine;
  readonly #store: ConceptStore;
  readonly #keeping: Keeping;
  #revision: Revision = null;
  /** Null where nothing of the visitor's is to stay. */
  #tokens: KeptTokens | null = null;
  #tabs: BroadcastChannel | null = null;

  private constructor(engine: Engine, store: ConceptStore, keeping: Keeping) {
    this.#engine = engine;
    this.#store = store;
    this.#keeping = keeping;
  }

  /** Opens the store and gives its concepts to the engine. What cannot be had of them, or no store at all, is told in `problems`. */
  static async open(
    engine: Engine,
    keeping: Keeping,
    emit: (progress: LoadProgress) => void,
  ): Promise<{ kept: KeptConcepts; restored: number; problems: ErrorInfo[] }> {
    const problems: ErrorInfo[] = [];
    const kept = new KeptConcepts(engine, await openStore(keeping, problems), keeping);
    const { concepts, revision } = await kept.#store.all();
    kept.#revision = revision;
    emit({ stage: "concepts", done: 0, total: concepts.length });
    const { restored, problems: lost } = await engine.restore(concepts);
    emit({ stage: "concepts", done: concepts.length, total: concepts.length });
    if (keeping.storage === "indexeddb") {
      kept.#listen();
      // Where things are only in memory, nothing of their photos may outlast them.
      kept.#tokens = kept.#store instanceof DatabaseStore ? await KeptTokens.open(keeping.library) : null;
      kept.#tokens?.serve(engine);
      void kept.#tokens?.sweep(concepts); // whoever deleted a thing may have ended before all of it was gone
    }
    return { kept, restored, problems: [...problems, ...lost] };
  }

  add(input: Calls["addConcept"]["in"]): Promise<Concept> {
    return this.#one(() => this.#engine.addConcept(input, Date.now()));
  }

  update({ id, patch }: Calls["updateConcept"]["in"]): Promise<Concept> {
    return this.#one(() => this.#engine.updateConcept(id, patch, Date.now()), id);
  }

  async import({ bytes, path, photos }: Calls["importConcepts"]["in"]): Promise<Calls["importConcepts"]["out"]> {
    let notes: ImportNotes = { renamed: [], problems: [] };
    const concepts = await this.#change(async () => {
      const { concepts, renamed, problems } = await this.#engine.importBundle(bytes, path, photos, Date.now());
      notes = { renamed, problems };
      return concepts;
    });
    return { concepts, ...notes };
  }

  /** Forgets a concept and, before that, what was made of its photos: nothing of them may outlast it. */
  async remove(id: string): Promise<void> {
    await this.#outrunning(async () => {
      const kept = await this.#store.get(id);
      this.#engine.removeConcept(id); // throws when there is none
      try {
        if (kept) await this.#tokens?.forget(kept.photos);
        this.#revision = await this.#store.remove(id, this.#revision);
      } catch (thrown) {
        if (kept) await this.#engine.restore([kept]);
        throw thrown;
      }
    });
    this.#tabs?.postMessage(null);
  }

  async photos(id: string): Promise<ReferencePhoto[]> {
    const kept = await this.#store.get(id);
    if (!kept) throw new NameLensError("concept", `there is no concept with the id "${id}"`);
    return kept.photos.map(({ bytes, box }) => (box ? { bytes, box } : { bytes }));
  }

  close(): void {
    this.#tabs?.close();
    this.#tabs = null;
    this.#store.close();
  }

  async #one(change: () => Promise<StoredConcept>, id?: string): Promise<Concept> {
    const [concept] = await this.#change(async () => [await change()], id);
    if (!concept) throw new NameLensError("internal", "the engine does not list the concept that it just kept");
    return concept;
  }

  /** Lets the engine change concepts (`id`, if it is one that exists) and keeps the result; what cannot be kept is taken back. */
  async #change(change: () => Promise<StoredConcept[]>, id?: string): Promise<Concept[]> {
    const engine = this.#engine;
    const ids = await this.#outrunning(async () => {
      // Read before anything changes: what cannot be read could not be put back either.
      const before = id === undefined ? null : await this.#store.get(id);
      const changed = await change();
      try {
        this.#revision = await this.#store.put(changed, this.#revision);
      } catch (thrown) {
        for (const { id } of changed) engine.removeConcept(id);
        if (before) await engine.restore([before]);
        throw thrown;
      }
      return new Set(changed.map(({ id }) => id));
    });
    this.#tabs?.postMessage(null);
    return engine.listConcepts().filter(({ id }) => ids.has(id));
  }

  /** Does `attempt` again where others changed the store in between, after what they did. */
  async #outrunning<T>(attempt: () => Promise<T>): Promise<T> {
    for (let left = TRIES; ; left -= 1) {
      try {
        return await attempt();
      } catch (thrown) {
        if (left === 0 || !(thrown instanceof OutrunError)) throw thrown;
        await this.#follow();
      }
    }
  }

  /** Hears of what others do to the concepts. */
  #listen(): void {
    if (typeof BroadcastChannel === "undefined") return;
    const { library, inTurn } = this.#keeping;
    this.#tabs = new BroadcastChannel(library === undefined ? CHANNEL : `${CHANNEL}-${library}`);
    this.#tabs.onmessage = () => {
      // Nobody asked: the next change that is outrun follows anyway.
      inTurn(() => this.#follow()).catch(() => undefined);
    };
  }

  /** Makes the engine's concepts those of the store. */
  async #follow(): Promise<void> {
    const engine = this.#engine;
    const { concepts, revision } = await this.#store.all();
    if (revision === this.#revision) return;
    const known = new Map(engine.listConcepts().map((concept) => [concept.id, concept.updatedMs]));
    const fresh = concepts.filter(({ id, updatedMs }) => known.get(id) !== updatedMs);
    const kept = new Set(concepts.map(({ id }) => id));
    for (const id of known.keys()) {
      if (!kept.has(id) || fresh.some((concept) => concept.id === id)) engine.removeConcept(id);
    }
    await engine.restore(fresh);
    this.#revision = revision;
    // What runs here made of photos that are gone since, and files that another tab could not delete while they were written.
    void this.#tokens?.sweep(concepts);
    this.#keeping.onChanged();
  }
}

async function openStore({ storage, library, before, onKept }: Keeping, problems: ErrorInfo[]): Promise<ConceptStore> {
  const memory = (): ConceptStore => new MemoryStore(before, onKept);
  if (storage === "memory") return memory();
  try {
    return await DatabaseStore.open(library);
  } catch (thrown) {
    problems.push(asInfo(thrown)); // the page works; it will only not remember
    return memory();
  }
}
