// The worker protocol, said once: every call, what it takes, what it streams and what it gives back.

import type { Enrolment } from "./enrolment.js";
import type { ErrorInfo } from "./errors.js";
import type { Modules } from "./modules.js";
import type {
  Availability,
  Box,
  Concept,
  Device,
  ImportNotes,
  LoadProgress,
  ModelInfo,
  Precision,
  Request,
  RunEvent,
  RunResult,
  StoredConcept,
  TokenCount,
} from "./types.js";

/** Where a model bundle is: its manifest, and addresses of files that do not lie beside it. */
export interface BundleSource {
  readonly manifest: string;
  readonly files?: Readonly<Record<string, string>>;
}

/** A folder on a server, its address ending in a slash: a bundle if there is a manifest, else a checkpoint. */
export interface FolderSource {
  readonly folder: string;
  /** The file of weights in it that the address named. */
  readonly weights?: string;
}

/** Files that somebody chose, by their paths; the model's folder is somewhere among them. */
export interface ChosenSource {
  readonly name: string;
  readonly chosen: ReadonlyMap<string, Blob>;
}

export type ModelSource = BundleSource | FolderSource | ChosenSource;

/** A model, or two halves of one: with a captioner, the model is what searches photos. */
export interface Sources {
  readonly model: ModelSource;
  readonly captioner?: ModelSource | undefined;
}

/** What is chosen where a repository has more than one model needs. */
export interface ModelChoice {
  readonly weights?: string;
  readonly mmproj?: string;
  readonly adapters?: readonly string[];
}

/** What was opened. */
export interface Opened {
  readonly model: ModelInfo;
  readonly device: Device;
  /** Threads that work at once on the processor. */
  readonly threads: number;
  /** Why the device is not the preferred one. */
  readonly fallback: string | null;
  /** Concepts found in storage. */
  readonly restored: number;
  /** What could not be restored, or kept; nothing here stops the engine. */
  readonly problems: readonly ErrorInfo[];
  /** Names of the LoRA adapters that came with the model. */
  readonly adapters: readonly string[];
  /** The adapter in use when it was opened. */
  readonly adapter: string | null;
}

/** The adapters of an engine. */
export interface AdapterState {
  readonly names: readonly string[];
  /** The one in use. */
  readonly active: string | null;
}

/** An adapter as PEFT writes it. */
export interface NewAdapter {
  readonly name: string;
  /** The text of its `adapter_config.json`. */
  readonly config: string;
  /** Its `adapter_model.safetensors`. */
  readonly weights: Blob;
}

/** A reference photo, and where in it the thing is, if somebody said. */
export interface ReferencePhoto {
  readonly bytes: Uint8Array;
  readonly box?: Box;
}

/** A new concept. */
export interface NewConcept {
  readonly name: string;
  readonly aliases?: readonly string[] | undefined;
  readonly category?: string | undefined;
  readonly info?: string | undefined;
  readonly photos: readonly ReferencePhoto[];
}

/** A change of a concept; what is left out stays. */
export interface ConceptPatch {
  readonly name?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly category?: string | undefined;
  readonly info?: string | undefined;
  readonly addPhotos?: readonly ReferencePhoto[] | undefined;
}

interface Call<In, Out, Event = never> {
  in: In;
  out: Out;
  event: Event;
}

/** Every call that the host answers. */
export interface Calls {
  open: Call<
    Sources & {
      choice: ModelChoice;
      /** The addresses of the engine's modules. */
      wasm: Modules;
      device: Device | "auto";
      threads: number | "auto";
      storage: "indexeddb" | "memory";
      /** The name of the library in the browser's database; the unnamed one where it is left out. */
      library?: string | undefined;
      /** What a host before this one kept in memory. */
      concepts: readonly StoredConcept[];
      /** Adapters of the model to let go of, adapters to add, and the one to use. */
      removed: readonly string[];
      adapters: readonly NewAdapter[];
      adapter: string | null;
      precision: Precision;
    },
    Opened,
    LoadProgress
  >;
  run: Call<{ request: Request; photo: Uint8Array | null }, RunResult, RunEvent>;
  addConcept: Call<NewConcept, Concept>;
  updateConcept: Call<{ id: string; patch: ConceptPatch }, Concept>;
  removeConcept: Call<{ id: string }, void>;
  listConcepts: Call<void, Concept[]>;
  conceptPhotos: Call<{ id: string }, ReferencePhoto[]>;
  /** Which of the given files a file of concepts needs; `path` is its own among them. */
  photosOfFile: Call<{ bytes: Uint8Array; path?: string; given: readonly string[] }, string[]>;
  importConcepts: Call<
    { bytes: Uint8Array; path?: string; photos: Map<string, Uint8Array> },
    ImportNotes & { readonly concepts: readonly Concept[] }
  >;
  exportConcepts: Call<{ ids?: readonly string[] }, Uint8Array>;
  enrolment: Call<{ photo: Uint8Array; box?: Box | undefined }, Enrolment>;
  memory: Call<void, number>;
  countTokens: Call<{ request: Request; photo: Uint8Array | null }, TokenCount>;
  addAdapter: Call<NewAdapter, AdapterState>;
  useAdapter: Call<{ name: string | null }, AdapterState>;
  removeAdapter: Call<{ name: string }, AdapterState>;
  availability: Call<Sources & { choice: ModelChoice; wasm: Modules; device: Device | "auto"; threads: number | "auto" }, Availability, LoadProgress>;
  close: Call<void, void>;
}

/** The name of a call. */
export type CallName = keyof Calls;

/** From the page to the host. `cancel` may come at any moment and needs no answer of its own. */
export type ToHost =
  | { [N in CallName]: { type: "call"; id: number; name: N; input: Calls[N]["in"] } }[CallName]
  | { type: "cancel"; id: number };

/** A change of concepts that only the host's memory keeps, for a host that may have to follow. */
export interface Kept {
  readonly put: readonly StoredConcept[];
  readonly removed: readonly string[];
}

/**
 * From the host to the page. Those without an id belong to no call. `changed`: another tab changed the concepts. `fatal`: the
 * engine died where no answer can tell of it.
 */
export type FromHost =
  | { type: "event"; id: number; event: Calls[CallName]["event"] }
  | { type: "done"; id: number; value: Calls[CallName]["out"] }
  | { type: "failed"; id: number; error: ErrorInfo }
  | { type: "changed" }
  | ({ type: "kept" } & Kept)
  | { type: "fatal"; error: ErrorInfo };

/** What a handler gets besides its input. */
export interface Context<Event> {
  readonly signal: AbortSignal;
  emit(event: Event): void;
}

/** One function per call. */
export type Handlers = {
  [N in CallName]: (input: Calls[N]["in"], context: Context<Calls[N]["event"]>) => Promise<Calls[N]["out"]>;
};
