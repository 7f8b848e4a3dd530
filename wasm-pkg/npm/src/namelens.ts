// The front door: create an engine in a worker, give things names, caption photos with them.

import { Caller } from "./channel.js";
import { Concepts } from "./concepts.js";
import { asError, cancelled, NameLensError } from "./errors.js";
import { photoBytes } from "./photo.js";
import { MISPLACED, place } from "./place.js";
import type { Opened } from "./protocol.js";
import { checkBrowser } from "./realm.js";
import { Run } from "./run.js";
import { modelSource, type ModelInput } from "./source.js";
import { startHere, startWorker } from "./start.js";
import type { Device, LoadProgress, Location, PhotoSource, Recognition, Request, RunOptions, RunResult } from "./types.js";
import { emptyVault } from "./vault-open.js";

/** Milliseconds that a cancelled loading has for keeping what has arrived. */
const GRACE_MS = 1000;

/** Options of {@link NameLens.create}. */
export interface CreateOptions {
  /**
   * The model: the address of a checkpoint folder (`.../org/model/resolve/main/`) or of a bundle (its `manifest.json`,
   * or the folder with it); a folder that somebody picked (`showDirectoryPicker`); the files of an
   * `<input webkitdirectory>`; or files by their paths. Left out: the model in this package.
   */
  readonly model?: ModelInput;
  /** `auto` takes WebGPU on real graphics hardware, else the CPU. */
  readonly device?: Device | "auto";
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Ends loading; rejects with code `cancelled`. */
  readonly signal?: AbortSignal;
  /** `false` runs the engine in the page itself, where its work can be felt. */
  readonly worker?: boolean;
  /**
   * Where the package's folders `dist`, `wasm` and `model` are served, for bundlers that do not follow
   * `new URL(..., import.meta.url)` and for pages that are not an ES module. Left out: where the bundler put them.
   */
  readonly assets?: URL | string;
  /** Where concepts are kept between visits. `memory` keeps nothing. */
  readonly storage?: "indexeddb" | "memory";
}

/** Captions photos with the names you gave things. Nothing leaves the page. */
export class NameLens {
  /** The named things. */
  readonly concepts: Concepts;
  /** What was loaded, and where it runs. */
  readonly info: Opened;
  readonly #caller: Caller;
  readonly #close: () => void;

  private constructor(caller: Caller, concepts: Concepts, info: Opened, close: () => void) {
    this.#caller = caller;
    this.concepts = concepts;
    this.info = info;
    this.#close = close;
  }

  /** Loads model and engine. Rejects with a {@link NameLensError}; nothing is left running then. */
  static async create(options: CreateOptions = {}): Promise<NameLens> {
    const { device = "auto", storage = "indexeddb", worker = true, signal, onProgress } = options;
    checkBrowser();
    const files = place(options.assets);
    const model = await modelSource(options.model, files.model);
    if (signal?.aborted) throw cancelled(signal);
    const { port, close, onFailure } = worker ? startWorker(files) : await startHere();
    let notify = (): void => undefined;
    const caller = new Caller(port, () => notify());
    onFailure((error) => caller.break(error));
    // Asked nicely, the worker keeps what has arrived; deep in the weights it cannot hear and is ended all the same.
    const giveUp = (): void => void setTimeout(() => caller.break(cancelled(signal)), GRACE_MS);
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      const concepts = new Concepts(caller);
      notify = () => concepts.notify();
      const info = await caller.call("open", { model, wasm: files.wasm.href, device, storage }, { signal, onEvent: onProgress });
      return new NameLens(caller, concepts, info, close);
    } catch (thrown) {
      close();
      const error = asError(thrown);
      // The package's own model is only ever missing when its files are not where the bundle looks for them.
      const misplaced = model === files.model && ["http", "config"].includes(error.code);
      throw misplaced ? new NameLensError(error.code, error.message, { cause: error, hint: MISPLACED }) : error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Deletes all model files that were kept for later visits. Named things stay. */
  static forgetModels(): Promise<void> {
    return emptyVault();
  }

  /** Describes the photo, with the names of the things it shows. */
  caption(photo: PhotoSource, options: RunOptions = {}): Run<RunResult> {
    return this.#run(photo, { kind: "caption" }, options);
  }

  /** Answers a question about the photo or about a named thing. */
  ask(photo: PhotoSource, question: string, options: RunOptions = {}): Run<RunResult> {
    return this.#run(photo, { kind: "ask", question }, options);
  }

  /** Says whether the concept (id or name) is in the photo. */
  recognize(photo: PhotoSource, concept: string, options: RunOptions = {}): Run<Recognition> {
    return this.#run(photo, { kind: "recognize", concept }, options) as Run<Recognition>;
  }

  /** Says where the concept (id or name) is in the photo. */
  locate(photo: PhotoSource, concept: string, options: RunOptions = {}): Run<Location> {
    return this.#run(photo, { kind: "locate", concept }, options) as Run<Location>;
  }

  /** Bytes of memory the engine holds now, on the CPU side. */
  async memory(): Promise<number> {
    return this.#caller.call("memory", undefined);
  }

  /** Stops everything and gives the memory back. Kept concepts stay kept. */
  async dispose(): Promise<void> {
    this.#caller.break(new NameLensError("disposed", "this NameLens was disposed of"));
    this.#close();
  }

  #run(photo: PhotoSource, what: Request, options: RunOptions): Run<RunResult> {
    const { signal, onEvent, onToken, ...how } = options;
    return new Run<RunResult>(async (emit, stop) => {
      const bytes = await photoBytes(photo, stop);
      return this.#caller.call(
        "run",
        { request: { ...what, ...how }, photo: bytes },
        {
          signal: stop,
          transfer: [bytes.buffer],
          onEvent: (event) => {
            emit(event);
            onEvent?.(event);
            if (event.type === "text") onToken?.(event.delta, event.text);
          },
        },
      );
    }, signal);
  }
}
