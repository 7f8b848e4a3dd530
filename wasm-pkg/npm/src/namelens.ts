// The front door: create an engine in a worker, give things names, caption photos with them.

/// <reference lib="esnext.disposable" preserve="true" />

import { Adapters } from "./adapters.js";
import { Caller } from "./channel.js";
import { Chat } from "./chat.js";
import { checkedBox, Concepts } from "./concepts.js";
import type { Enrolment } from "./enrolment.js";
import { asError, NameLensError } from "./errors.js";
import { Link } from "./link.js";
import { MOST_THREADS } from "./modules.js";
import { withOptions } from "./options.js";
import { photoBytes } from "./photo.js";
import { addresses, isEmbedded, MISPLACED, place, type Place } from "./place.js";
import type { ModelChoice, Opened, Sources } from "./protocol.js";
import { checkBrowser } from "./realm.js";
import { Run } from "./run.js";
import { captionerSource, modelSource, type ModelInput } from "./source.js";
import { startHere, startWorker } from "./start.js";
import type {
  Availability,
  Box,
  Device,
  LoadProgress,
  Location,
  PhotoSource,
  Precision,
  Recognition,
  Request,
  RunOptions,
  RunResult,
  TokenCount,
} from "./types.js";
import { emptyVault } from "./vault-open.js";

/** Options of {@link NameLens.create}. */
export interface CreateOptions {
  /**
   * The model: `"photos"`, which recognises things in real photographs and writes no captions (the default), or `"playroom"`, which
   * captions drawn toys, both in this package; the address of a checkpoint folder (`.../org/model/resolve/main/`), of a GGUF file in one, or of a bundle (its
   * `manifest.json`, or the folder with it); a folder that somebody picked (`showDirectoryPicker`); the files of an
   * `<input webkitdirectory>`; or files by their paths.
   */
  readonly model?: ModelInput | undefined;
  /**
   * A model that writes captions, beside the one that recognises: given as {@link model} is. Of `model` only what searches photos is
   * loaded then, and `weights`, `mmproj` and `adapters` choose among the captioner's files.
   */
  readonly captioner?: ModelInput | undefined;
  /** Which file has the text model's weights, where the folder has several: a `.gguf` (of one in parts, any part). */
  readonly weights?: string | undefined;
  /** Which file has the vision projector, where the folder has several. */
  readonly mmproj?: string | undefined;
  /** Names of the LoRA adapters in the model's `adapters/` to load. Left out: all that its folder is known to have. */
  readonly adapters?: readonly string[] | undefined;
  /** The adapter to answer with from the start. */
  readonly adapter?: string | undefined;
  /** How matrices are held in memory. */
  readonly precision?: Precision | undefined;
  /** `auto` takes WebGPU on real graphics hardware, else the CPU. */
  readonly device?: Device | "auto" | undefined;
  /**
   * Threads on the CPU, from 1 to 16. `auto` takes as many as there are cores, four at most. More than one work only in a worker of a page
   * that is cross-origin isolated (headers `Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`);
   * elsewhere there is one, as {@link NameLens.info} tells.
   */
  readonly threads?: number | "auto" | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Ends loading; rejects with code `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  /** `false` runs the engine in the page itself, where its work can be felt. */
  readonly worker?: boolean | undefined;
  /**
   * Where the package's folders `dist`, `wasm` and `model` are served, for bundlers that do not follow
   * `new URL(..., import.meta.url)` and for pages that are not an ES module. Left out: where the bundler put them.
   */
  readonly assets?: URL | string | undefined;
  /** Where concepts are kept between visits. `memory` keeps nothing. */
  readonly storage?: "indexeddb" | "memory" | undefined;
  /** The name of a library of concepts of its own in this browser. Left out: the one without a name. */
  readonly library?: string | undefined;
}

/** Options of {@link NameLens.availability}. */
export type AvailabilityOptions = Pick<CreateOptions, "model" | "captioner" | "weights" | "mmproj" | "adapters" | "device" | "threads" | "worker" | "assets" | "signal">;

/** Captions photos with the names you gave things. Nothing leaves the page. */
export class NameLens implements AsyncDisposable {
  /** The named things. */
  readonly concepts: Concepts;
  /** LoRA adapters of the model. */
  readonly adapters: Adapters;
  readonly #link: Link;

  private constructor(link: Link, concepts: Concepts) {
    this.#link = link;
    this.concepts = concepts;
    const { adapters, adapter } = link.info;
    this.adapters = new Adapters(link, { names: adapters, active: adapter });
  }

  /** What was loaded, and where it runs. */
  get info(): Opened {
    return this.#link.info;
  }

  /**
   * Loads model and engine. Rejects with a {@link NameLensError}; nothing is left running then.
   *
   * An engine that dies later (codes `memory`, `crashed`, `device`) is replaced by a fresh one at the next call, with model, named
   * things and adapters as they were; `onProgress` then hears of loading again.
   */
  static async create(options: CreateOptions = {}): Promise<NameLens> {
    const { device = "auto", storage = "indexeddb", worker = true, precision = "stored", adapter = null, signal, onProgress } = options;
    const [library, threads] = [checkedLibrary(options.library), checkedThreads(options.threads)];
    const { files, sources } = await prepare(options);
    let notify = (): void => undefined;
    const wasm = addresses(files);
    const opening = { ...sources, choice: choiceOf(options), wasm, device, threads, storage, library, removed: [], adapters: [], adapter, precision };
    const link = new Link(opening, {
      start: () => (worker ? startWorker(files) : startHere()),
      restarts: worker,
      onProgress,
      onChanged: () => notify(),
    });
    const concepts = new Concepts(link);
    notify = () => concepts.notify();
    await link.open(signal).catch((thrown: unknown) => {
      throw misplaced(asError(thrown), options);
    });
    return new NameLens(link, concepts);
  }

  /**
   * Finds out where a model would run, how large it is and what of it is here already, without fetching its weights. Rejects as
   * {@link create} would where files are missing or a choice must be made.
   */
  static async availability(options: AvailabilityOptions = {}): Promise<Availability> {
    const { device = "auto", worker = true, signal } = options;
    const threads = checkedThreads(options.threads);
    const { files, sources } = await prepare(options);
    const { port, close, onFailure } = worker ? startWorker(files) : await startHere();
    const caller = new Caller(port, { changed: () => undefined, kept: () => undefined, fatal: (error) => caller.break(error) });
    onFailure((error) => caller.break(error));
    try {
      const asked = { ...sources, choice: choiceOf(options), wasm: addresses(files), device, threads };
      return await caller.call("availability", asked, { signal });
    } catch (thrown) {
      throw misplaced(asError(thrown), options);
    } finally {
      close();
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

  /**
   * Answers a question about the photo or about a named thing. Without a photo (`null`) the model answers the question alone, and
   * named things take no part; a model that reads text only answers nothing else.
   */
  ask(photo: PhotoSource | null, question: string, options: RunOptions = {}): Run<RunResult> {
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

  /**
   * A conversation about one photo, or about none (`null`): turns see those before them, and pay only for what is new. `options` hold for every turn.
   */
  chat(photo: PhotoSource | null, options: RunOptions = {}): Chat {
    return new Chat(photo, options, (photo, what, options) => this.#run(photo, what, options));
  }

  /**
   * What a photo of a thing shows, before the thing is named: where it is (what stands out, or `box` where that is given), words for what
   * it looks like, and what makes the photo a poor one to know it by.
   */
  async enrolment(photo: PhotoSource, { box, signal }: { readonly box?: Box | undefined; readonly signal?: AbortSignal | undefined } = {}): Promise<Enrolment> {
    const place = box === undefined ? {} : { box: checkedBox(box) };
    const bytes = await photoBytes(photo, signal);
    return this.#link.call("enrolment", { photo: bytes, ...place }, { signal, transfer: [bytes.buffer] });
  }

  /**
   * How many tokens a question about the photo (or about none: `null`) would take, with the concepts that would be put before the model; without a
   * question, a caption. The model does not run; the retriever does, where it is needed to know the concepts.
   */
  async countTokens(photo: PhotoSource | null, question?: string, options: RunOptions = {}): Promise<TokenCount> {
    const { signal } = options;
    const request = withOptions(question === undefined ? { kind: "caption" } : { kind: "ask", question }, options);
    const bytes = photo === null ? null : await photoBytes(photo, signal);
    return this.#link.call("countTokens", { request, photo: bytes }, { signal, transfer: bytes === null ? [] : [bytes.buffer] });
  }

  /** Bytes of memory the engine holds now, on the CPU side. */
  async memory(): Promise<number> {
    return this.#link.call("memory", undefined);
  }

  /** Stops everything and gives the memory back. Kept concepts stay kept. */
  async dispose(): Promise<void> {
    this.#link.end(new NameLensError("disposed", "this NameLens was disposed of"));
  }

  /** `await using lens = await NameLens.create()` disposes of it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #run(photo: PhotoSource | null, what: Request, options: RunOptions): Run<RunResult> {
    const { signal, onEvent, onToken } = options;
    return new Run<RunResult>(async (emit, stop) => {
      const request = withOptions(what, options);
      const bytes = photo === null ? null : await photoBytes(photo, stop);
      return this.#link.call(
        "run",
        { request, photo: bytes },
        {
          signal: stop,
          transfer: bytes === null ? [] : [bytes.buffer],
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

/** Where the package's files and the model are. */
async function prepare({ assets, model = "photos", captioner }: AvailabilityOptions): Promise<{ files: Place; sources: Sources }> {
  checkBrowser();
  const files = place(assets);
  if (captioner === undefined) return { files, sources: { model: await modelSource(model, files.models) } };
  const writing = await captionerSource(captioner, model, files.models);
  return { files, sources: { model: await modelSource(model, files.models), captioner: writing } };
}

function checkedLibrary(library: string | undefined): string | undefined {
  if (library === undefined || (typeof library === "string" && library.trim() !== "")) return library;
  throw new NameLensError("option", "library: must be a name");
}

function checkedThreads(threads: number | "auto" = "auto"): number | "auto" {
  if (threads === "auto" || (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS)) return threads;
  throw new NameLensError("option", `threads: must be "auto" or a whole number from 1 to ${MOST_THREADS}`);
}

/** The package's own models are only ever missing when their files are not where the bundle looks for them. */
function misplaced(error: NameLensError, { model = "photos", captioner }: AvailabilityOptions): NameLensError {
  const own = isEmbedded(model) && captioner === undefined;
  if (!own || !["http", "config"].includes(error.code)) return error;
  return new NameLensError(error.code, error.message, { cause: error, hint: MISPLACED });
}

function choiceOf({ weights, mmproj, adapters }: CreateOptions): ModelChoice {
  return {
    ...(weights === undefined ? {} : { weights }),
    ...(mmproj === undefined ? {} : { mmproj }),
    ...(adapters === undefined ? {} : { adapters }),
  };
}
