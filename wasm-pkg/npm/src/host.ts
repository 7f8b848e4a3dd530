// The host of an engine, in a worker or in the page: answers every call of the protocol, one at a time.

import { serve, type Port } from "./channel.js";
import { availability } from "./availability.js";
import { chooseDevice } from "./device.js";
import { loadEngine, type Engine, type LoadedEngine } from "./engine.js";
import { asError, asInfo, NameLensError, type ErrorInfo } from "./errors.js";
import { explain, isTrap, SILENT } from "./fault.js";
import { loadModel, together } from "./model.js";
import type { AdapterState, Calls, Context, FromHost, Handlers, Kept, NewAdapter, Opened, ReferencePhoto } from "./protocol.js";
import { Queue } from "./queue.js";
import { DatabaseStore, MemoryStore, type ConceptStore } from "./store.js";
import { KeptTokens } from "./tokens.js";
import type { Concept, Device, ImportNotes, LoadProgress, Precision, StoredConcept } from "./types.js";

const CHANNEL = "namelens-concepts";

/** Answers calls that come through `port`. */
export function host(port: Port): void {
  const post = (message: FromHost): void => port.postMessage(message);
  const info = (thrown: unknown): ErrorInfo => asInfo(explain(thrown, answering.loaded?.witness ?? SILENT));
  // A trap in the middle of an asynchronous call ends the task it happens in; no promise hears of it.
  const hear = (event: Event, thrown: unknown): void => {
    if (!isTrap(thrown)) return;
    event.preventDefault();
    post({ type: "fatal", error: info(thrown) });
  };
  const onError = (event: ErrorEvent): void => hear(event, event.error);
  const onRejection = (event: PromiseRejectionEvent): void => hear(event, event.reason);
  // Some realms, such as Node's, are no targets of events.
  const realm: Partial<EventTarget> = globalThis;
  realm.addEventListener?.("error", onError as EventListener);
  realm.addEventListener?.("unhandledrejection", onRejection as EventListener);
  const stop = (): void => {
    realm.removeEventListener?.("error", onError as EventListener);
    realm.removeEventListener?.("unhandledrejection", onRejection as EventListener);
  };
  const answering = new Host(post, stop);
  serve(port, answering.handlers(), info);
}

class Host {
  readonly #queue = new Queue();
  readonly #post: (message: FromHost) => void;
  readonly #stop: () => void;
  /** The module of the engine; none before the first call. */
  loaded: LoadedEngine | null = null;
  #engine: Engine | null = null;
  #store: ConceptStore = new MemoryStore();
  /** Null where nothing of the visitor's is to stay. */
  #tokens: KeptTokens | null = null;
  #tabs: BroadcastChannel | null = null;

  constructor(post: (message: FromHost) => void, stop: () => void) {
    this.#post = post;
    this.#stop = stop;
  }

  handlers(): Handlers {
    const queued =
      <In, Out, Event>(body: (input: In, context: Context<Event>) => Promise<Out> | Out) =>
      (input: In, context: Context<Event>): Promise<Out> =>
        this.#queue.run(context.signal, () => {
          this.loaded?.forgetFaults();
          return body(input, context);
        });
    return {
      open: queued((input, context) => this.#open(input, context)),
      run: queued(({ request, photo }, { signal, emit }) =>
        this.#module().withCancel(signal, (flag) => this.#live().run(request, photo, emit, flag)),
      ),
      addConcept: queued((input) => this.#keepOne((engine) => engine.addConcept(input, Date.now()))),
      updateConcept: queued(({ id, patch }) =>
        this.#keepOne((engine) => engine.updateConcept(id, patch, Date.now())),
      ),
      removeConcept: queued(({ id }) => this.#remove(id)),
      listConcepts: queued(() => this.#live().listConcepts()),
      conceptPhotos: queued(({ id }) => this.#photos(id)),
      photosOfFile: queued(({ bytes, path, given }) => this.#live().photosOfBundle(bytes, path, given)),
      importConcepts: queued((input) => this.#import(input)),
      exportConcepts: queued(({ ids }) => this.#live().exportBundle(ids)),
      enrolment: queued(({ photo, box }) => this.#live().enrolment(photo, box)),
      memory: queued(() => this.#live().memoryBytes()),
      countTokens: queued(({ request, photo }, { signal }) =>
        this.#module().withCancel(signal, (flag) => this.#live().countTokens(request, photo, flag)),
      ),
      addAdapter: queued((adapter) => this.#addAdapter(adapter)),
      useAdapter: queued(({ name }) => this.#changeAdapters((engine) => engine.useAdapter(name ?? undefined))),
      removeAdapter: queued(({ name }) => this.#changeAdapters((engine) => engine.removeAdapter(name))),
      availability: queued((input, context) => availability(input, context)),
      close: queued(() => this.#close()),
    };
  }

  async #open(
    { model, captioner, choice, wasm, device: wish, threads, storage, library, concepts, removed, adapters, adapter, precision }: Calls["open"]["in"],
    { signal, emit }: Context<LoadProgress>,
  ): Promise<Opened> {
    const choosing = chooseDevice(wish);
    const ready = choosing.then(({ device }) => loadEngine(wasm, device, threads, emit, signal));
    const loading = loadModel({ model, captioner }, choice, emit, signal, () => ready.then(({ tools }) => tools));
    const [place, files, loaded] = await together(signal, [choosing, loading, ready]);
    this.loaded = loaded;
    const held = precision === "auto" ? precisionFor(files) : precision;
    const { engine, device, fallback } = await this.#build(place, wish, files, { wasm, threads }, emit, signal, held);
    this.#engine = engine;
    const problems: ErrorInfo[] = [];
    for (const name of removed) engine.removeAdapter(name);
    for (const added of adapters) await this.#addAdapter(added);
    if (adapter !== null) engine.useAdapter(adapter);
    this.#store = await openStore(storage, library, problems, concepts, (change) => this.#post({ type: "kept", ...change }));
    const stored = await this.#store.all();
    emit({ stage: "concepts", done: 0, total: stored.length });
    const { restored, problems: lost } = await engine.restore(stored);
    emit({ stage: "concepts", done: stored.length, total: stored.length });
    if (storage === "indexeddb") {
      this.#listen(library);
      // Where things are only in memory, nothing of their photos may outlast them.
      this.#tokens = this.#store instanceof DatabaseStore ? await KeptTokens.open(library) : null;
      this.#tokens?.serve(engine);
    }
    const { names, active } = this.#adapterState();
    return { model: engine.modelInfo(), device, threads: this.#module().threads, fallback, restored, problems: [...problems, ...lost], adapters: names, adapter: active };
  }

  async #addAdapter({ name, config, weights }: NewAdapter): Promise<AdapterState> {
    const readable = "FileReaderSync" in globalThis ? weights : new Uint8Array(await weights.arrayBuffer());
    return this.#changeAdapters((engine) => engine.addAdapter(name, config, readable));
  }

  #changeAdapters(change: (engine: Engine) => void): AdapterState {
    change(this.#live());
    return this.#adapterState();
  }

  #adapterState(): AdapterState {
    const engine = this.#live();
    return { names: engine.adapters(), active: engine.activeAdapter() ?? null };
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

  async #import({ bytes, path, photos }: Calls["importConcepts"]["in"]): Promise<Calls["importConcepts"]["out"]> {
    let notes: ImportNotes = { renamed: [], problems: [] };
    const concepts = await this.#keep(async (engine) => {
      const { concepts, renamed, problems } = await engine.importBundle(bytes, path, photos, Date.now());
      notes = { renamed, problems };
      return concepts;
    });
    return { concepts, ...notes };
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
    if (kept) await this.#tokens?.forget(kept.photos);
    this.#tabs?.postMessage(null);
  }

  async #photos(id: string): Promise<ReferencePhoto[]> {
    const kept = await this.#store.get(id);
    if (!kept) throw new NameLensError("concept", `there is no concept with the id "${id}"`);
    return kept.photos.map(({ bytes, box }) => (box ? { bytes, box } : { bytes }));
  }

  /** Follows what other tabs do to the concepts. */
  #listen(library?: string): void {
    if (typeof BroadcastChannel === "undefined") return;
    this.#tabs = new BroadcastChannel(library === undefined ? CHANNEL : `${CHANNEL}-${library}`);
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
          this.#post({ type: "changed" });
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
    this.#stop();
  }

  #live(): Engine {
    if (!this.#engine) throw new NameLensError("disposed", "the engine is not open");
    return this.#engine;
  }

  #module(): LoadedEngine {
    if (!this.loaded) throw new NameLensError("disposed", "the engine is not open");
    return this.loaded;
  }

  /** Builds the engine; where WebGPU was only hoped for and fails, by the module for the processor. */
  async #build(
    { device, fallback }: { device: Device; fallback: string | null },
    wish: Device | "auto",
    files: ReadonlyMap<string, Blob>,
    { wasm, threads }: Pick<Calls["open"]["in"], "wasm" | "threads">,
    emit: (progress: LoadProgress) => void,
    signal: AbortSignal,
    precision: Precision,
  ): Promise<{ engine: Engine; device: Device; fallback: string | null }> {
    try {
      return { engine: await this.#module().create(device, files, emit, signal, precision), device, fallback };
    } catch (thrown) {
      const error = asError(thrown);
      const gpuFault = error.code === "no-adapter" || error.code === "device";
      if (wish !== "auto" || device === "cpu" || !gpuFault) throw error;
      this.loaded = await loadEngine(wasm, "cpu", threads, emit, signal);
      return { engine: await this.loaded.create("cpu", files, emit, signal, precision), device: "cpu", fallback: error.message };
    }
  }
}

/** Bytes of files up to which a model stays as it is stored. */
const SMALL = 100e6;

function precisionFor(files: ReadonlyMap<string, Blob>): Precision {
  const bytes = [...files.values()].reduce((sum, { size }) => sum + size, 0);
  return bytes > SMALL ? "q8_0" : "stored";
}

/** `before` and `onChange` are for a store in memory, which a host that follows this one must be given back. */
async function openStore(
  kind: "indexeddb" | "memory",
  library: string | undefined,
  problems: ErrorInfo[],
  before: readonly StoredConcept[],
  onChange: (change: Kept) => void,
): Promise<ConceptStore> {
  const memory = (): ConceptStore => new MemoryStore(before, onChange);
  if (kind === "memory") return memory();
  try {
    return await DatabaseStore.open(library);
  } catch (thrown) {
    problems.push(asInfo(thrown)); // the page works; it will only not remember
    return memory();
  }
}
