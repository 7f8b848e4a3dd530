// The host of an engine, in a worker or in the page: answers every call of the protocol, one at a time.

import { serve, type Port } from "./channel.js";
import { chooseDevice } from "./device.js";
import { createEngine, loadEngine, openDigest, withCancel, type Engine } from "./engine.js";
import { asError, asInfo, NameLensError, type ErrorInfo } from "./errors.js";
import { loadModel, together } from "./model.js";
import type { Calls, Context, Handlers, Opened } from "./protocol.js";
import { Queue } from "./queue.js";
import { DatabaseStore, MemoryStore, type ConceptStore } from "./store.js";
import type { Concept, Device, LoadProgress, StoredConcept } from "./types.js";

const CHANNEL = "namelens-concepts";

/** Answers calls that come through `port`. */
export function host(port: Port): void {
  serve(port, new Host(() => port.postMessage({ type: "changed" })).handlers());
}

class Host {
  readonly #queue = new Queue();
  readonly #onForeignChange: () => void;
  #engine: Engine | null = null;
  #store: ConceptStore = new MemoryStore();
  #tabs: BroadcastChannel | null = null;

  constructor(onForeignChange: () => void) {
    this.#onForeignChange = onForeignChange;
  }

  handlers(): Handlers {
    const queued =
      <In, Out, Event>(body: (input: In, context: Context<Event>) => Promise<Out> | Out) =>
      (input: In, context: Context<Event>): Promise<Out> =>
        this.#queue.run(context.signal, () => body(input, context));
    return {
      open: queued((input, context) => this.#open(input, context)),
      run: queued(({ request, photo }, { signal, emit }) =>
        withCancel(signal, (flag) => this.#live().run(request, photo, emit, flag)),
      ),
      addConcept: queued((input) => this.#keepOne((engine) => engine.addConcept(input, Date.now()))),
      updateConcept: queued(({ id, patch }) =>
        this.#keepOne((engine) => engine.updateConcept(id, patch, Date.now())),
      ),
      removeConcept: queued(({ id }) => this.#remove(id)),
      listConcepts: queued(() => this.#live().listConcepts()),
      conceptPhotos: queued(({ id }) => this.#photos(id)),
      importConcepts: queued(({ bytes, photos }) =>
        this.#keep((engine) => engine.importBundle(bytes, photos, Date.now())),
      ),
      exportConcepts: queued(({ ids }) => this.#live().exportBundle(ids)),
      memory: queued(() => this.#live().memoryBytes()),
      close: queued(() => this.#close()),
    };
  }

  async #open(
    { model, wasm, device: wish, storage }: Calls["open"]["in"],
    { signal, emit }: Context<LoadProgress>,
  ): Promise<Opened> {
    const ready = loadEngine(wasm, emit, signal);
    const loading = loadModel(model, emit, signal, () => ready.then(openDigest));
    const [choice, files] = await together(signal, [chooseDevice(wish), loading, ready]);
    const { engine, device, fallback } = await build(choice, wish, files, emit, signal);
    this.#engine = engine;
    const problems: ErrorInfo[] = [];
    this.#store = await openStore(storage, problems);
    const stored = await this.#store.all();
    emit({ stage: "concepts", done: 0, total: stored.length });
    const { restored, problems: lost } = await engine.restore(stored);
    emit({ stage: "concepts", done: stored.length, total: stored.length });
    if (storage === "indexeddb") this.#listen();
    return { model: engine.modelInfo(), device, fallback, restored, problems: [...problems, ...lost] };
  }

  /** Lets the engine change concepts and keeps the result; what cannot be kept is taken back. */
  async #keep(change: (engine: Engine) => Promise<StoredConcept[]>): Promise<Concept[]> {
    const engine = this.#live();
    const changed = await change(engine);
    const previous = await Promise.all(changed.map(({ id }) => this.#store.get(id).catch(() => null)));
    try {
      await this.#store.put(changed);
    } catch (thrown) {
      for (const { id } of changed) engine.removeConcept(id);
      await engine.restore(previous.filter((concept) => concept !== null));
      throw thrown;
    }
    this.#tabs?.postMessage(null);
    const ids = new Set(changed.map(({ id }) => id));
    return engine.listConcepts().filter(({ id }) => ids.has(id));
  }

  async #keepOne(change: (engine: Engine) => Promise<StoredConcept>): Promise<Concept> {
    const [concept] = await this.#keep(async (engine) => [await change(engine)]);
    if (!concept) throw new NameLensError("internal", "the engine does not list the concept that it just kept");
    return concept;
  }

  async #remove(id: string): Promise<void> {
    const engine = this.#live();
    const kept = await this.#store.get(id);
    engine.removeConcept(id); // throws when there is none
    try {
      await this.#store.remove(id);
    } catch (thrown) {
      if (kept) await engine.restore([kept]);
      throw thrown;
    }
    this.#tabs?.postMessage(null);
  }

  async #photos(id: string): Promise<Uint8Array[]> {
    const kept = await this.#store.get(id);
    if (!kept) throw new NameLensError("concept", `there is no concept with the id "${id}"`);
    return kept.photos.map(({ bytes }) => bytes);
  }

  /** Follows what other tabs do to the concepts. */
  #listen(): void {
    if (typeof BroadcastChannel === "undefined") return;
    this.#tabs = new BroadcastChannel(CHANNEL);
    this.#tabs.onmessage = () => {
      this.#queue
        .run(new AbortController().signal, async () => {
          const engine = this.#live();
          const stored = await this.#store.all();
          const known = new Map(engine.listConcepts().map((concept) => [concept.id, concept.updatedMs]));
          const fresh = stored.filter(({ id, updatedMs }) => known.get(id) !== updatedMs);
          const kept = new Set(stored.map(({ id }) => id));
          for (const id of known.keys()) {
            if (!kept.has(id) || fresh.some((concept) => concept.id === id)) engine.removeConcept(id);
          }
          await engine.restore(fresh);
          this.#onForeignChange();
        })
        .catch(() => undefined); // nobody asked; the next reload reads the store anyway
    };
  }

  #close(): void {
    this.#tabs?.close();
    this.#tabs = null;
    this.#store.close();
    this.#engine?.free();
    this.#engine = null;
  }

  #live(): Engine {
    if (!this.#engine) throw new NameLensError("disposed", "the engine is not open");
    return this.#engine;
  }
}

async function build(
  { device, fallback }: { device: Device; fallback: string | null },
  wish: Device | "auto",
  files: ReadonlyMap<string, Blob>,
  emit: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<{ engine: Engine; device: Device; fallback: string | null }> {
  try {
    return { engine: await createEngine(device, files, emit, signal), device, fallback };
  } catch (thrown) {
    const error = asError(thrown);
    const gpuFault = error.code === "no-adapter" || error.code === "device";
    if (wish !== "auto" || device === "cpu" || !gpuFault) throw error;
    return { engine: await createEngine("cpu", files, emit, signal), device: "cpu", fallback: error.message };
  }
}

async function openStore(kind: "indexeddb" | "memory", problems: ErrorInfo[]): Promise<ConceptStore> {
  if (kind === "memory") return new MemoryStore();
  try {
    return await DatabaseStore.open();
  } catch (thrown) {
    problems.push(asInfo(thrown)); // the page works; it will only not remember
    return new MemoryStore();
  }
}
