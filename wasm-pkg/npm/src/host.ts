// The host of an engine, in a worker or in the page: answers every call of the protocol, one at a time.

import { serve, type Port } from "./channel.js";
import { availability } from "./availability.js";
import { chooseDevice } from "./device.js";
import { loadEngine, type Engine, type LoadedEngine } from "./engine.js";
import { asError, asInfo, NameLensError, type ErrorInfo } from "./errors.js";
import { explain, isTrap, ranWebAssembly, SILENT } from "./fault.js";
import { KeptConcepts, type Keeping } from "./kept-concepts.js";
import { loadModel, together } from "./model.js";
import type { AdapterState, Calls, Context, FromHost, Handlers, NewAdapter, Opened } from "./protocol.js";
import { Queue } from "./queue.js";
import type { Device, LoadProgress, Precision } from "./types.js";

/**
 * Answers calls that come through `port`. In a realm that is `shared` with a page's own code it takes only those faults for the engine's
 * that happen in WebAssembly while a call is under way. Returns a function after which it hears of none.
 */
export function host(port: Port, { shared = false } = {}): () => void {
  const post = (message: FromHost): void => port.postMessage(message);
  const info = (thrown: unknown): ErrorInfo => asInfo(explain(thrown, answering.loaded?.witness ?? SILENT));
  // A trap in the middle of an asynchronous call ends the task it happens in; no promise hears of it.
  const hear = (event: Event, thrown: unknown): void => {
    if (!isTrap(thrown) || (shared && !(answering.isBusy && ranWebAssembly(thrown)))) return;
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
  return stop;
}

class Host {
  readonly #queue = new Queue();
  readonly #post: (message: FromHost) => void;
  readonly #stop: () => void;
  /** The module of the engine; none before the first call. */
  loaded: LoadedEngine | null = null;
  #engine: Engine | null = null;
  #concepts: KeptConcepts | null = null;

  constructor(post: (message: FromHost) => void, stop: () => void) {
    this.#post = post;
    this.#stop = stop;
  }

  /** Whether a call is under way. */
  get isBusy(): boolean {
    return this.#queue.isBusy;
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
      addConcept: queued((input) => this.#kept().add(input)),
      updateConcept: queued((input) => this.#kept().update(input)),
      removeConcept: queued(({ id }) => this.#kept().remove(id)),
      listConcepts: queued(() => this.#live().listConcepts()),
      conceptPhotos: queued(({ id }) => this.#kept().photos(id)),
      photosOfFile: queued(({ bytes, path, given }) => this.#live().photosOfBundle(bytes, path, given)),
      importConcepts: queued((input) => this.#kept().import(input)),
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
    for (const name of removed) engine.removeAdapter(name);
    for (const added of adapters) await this.#addAdapter(added);
    if (adapter !== null) engine.useAdapter(adapter);
    const keeping: Keeping = {
      storage,
      library,
      before: concepts,
      onKept: (change) => this.#post({ type: "kept", ...change }),
      onChanged: () => this.#post({ type: "changed" }),
      inTurn: (task) => this.#queue.run(new AbortController().signal, task),
    };
    const { kept, restored, problems } = await KeptConcepts.open(engine, keeping, emit);
    this.#concepts = kept;
    const { names, active } = this.#adapterState();
    return { model: engine.modelInfo(), device, threads: this.#module().threads, fallback, restored, problems, adapters: names, adapter: active };
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

  #close(): void {
    this.#concepts?.close();
    this.#concepts = null;
    this.#engine?.free();
    this.#engine = null;
    this.#stop();
  }

  #live(): Engine {
    if (!this.#engine) throw new NameLensError("disposed", "the engine is not open");
    return this.#engine;
  }

  #kept(): KeptConcepts {
    if (!this.#concepts) throw new NameLensError("disposed", "the engine is not open");
    return this.#concepts;
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
