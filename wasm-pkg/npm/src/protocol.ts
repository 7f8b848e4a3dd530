// The worker protocol, said once: every call, what it takes, what it streams and what it gives back.

import type { ErrorInfo } from "./errors.js";
import type { Concept, Device, LoadProgress, ModelInfo, Request, RunEvent, RunResult } from "./types.js";

/** Where a model bundle is: its manifest, and addresses of files that do not lie beside it. */
export interface BundleSource {
  readonly manifest: string;
  readonly files?: Readonly<Record<string, string>>;
}

/** A folder on a server, its address ending in a slash: a bundle if there is a manifest, else a checkpoint. */
export interface FolderSource {
  readonly folder: string;
}

/** Files that somebody chose, by their paths in the model's folder. */
export interface ChosenSource {
  readonly name: string;
  readonly chosen: ReadonlyMap<string, Blob>;
}

export type ModelSource = BundleSource | FolderSource | ChosenSource;

/** What was opened. */
export interface Opened {
  readonly model: ModelInfo;
  readonly device: Device;
  /** Why the device is not the preferred one. */
  readonly fallback: string | null;
  /** Concepts found in storage. */
  readonly restored: number;
  /** What could not be restored, or kept; nothing here stops the engine. */
  readonly problems: readonly ErrorInfo[];
}

/** A new concept. */
export interface NewConcept {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly category?: string;
  readonly info?: string;
  readonly photos: readonly Uint8Array[];
}

/** A change of a concept; what is left out stays. */
export interface ConceptPatch {
  readonly name?: string;
  readonly aliases?: readonly string[];
  readonly category?: string;
  readonly info?: string;
  readonly addPhotos?: readonly Uint8Array[];
}

interface Call<In, Out, Event = never> {
  in: In;
  out: Out;
  event: Event;
}

/** Every call that the host answers. */
export interface Calls {
  open: Call<
    { model: ModelSource; wasm: string; device: Device | "auto"; storage: "indexeddb" | "memory" },
    Opened,
    LoadProgress
  >;
  run: Call<{ request: Request; photo: Uint8Array }, RunResult, RunEvent>;
  addConcept: Call<NewConcept, Concept>;
  updateConcept: Call<{ id: string; patch: ConceptPatch }, Concept>;
  removeConcept: Call<{ id: string }, void>;
  listConcepts: Call<void, Concept[]>;
  conceptPhotos: Call<{ id: string }, Uint8Array[]>;
  importConcepts: Call<{ bytes: Uint8Array; photos: Map<string, Uint8Array> }, Concept[]>;
  exportConcepts: Call<{ ids?: readonly string[] }, Uint8Array>;
  memory: Call<void, number>;
  close: Call<void, void>;
}

/** The name of a call. */
export type CallName = keyof Calls;

/** From the page to the host. `cancel` may come at any moment and needs no answer of its own. */
export type ToHost =
  | { [N in CallName]: { type: "call"; id: number; name: N; input: Calls[N]["in"] } }[CallName]
  | { type: "cancel"; id: number };

/** From the host to the page. `changed` belongs to no call: another tab changed the concepts. */
export type FromHost =
  | { type: "event"; id: number; event: Calls[CallName]["event"] }
  | { type: "done"; id: number; value: Calls[CallName]["out"] }
  | { type: "failed"; id: number; error: ErrorInfo }
  | { type: "changed" };

/** What a handler gets besides its input. */
export interface Context<Event> {
  readonly signal: AbortSignal;
  emit(event: Event): void;
}

/** One function per call. */
export type Handlers = {
  [N in CallName]: (input: Calls[N]["in"], context: Context<Calls[N]["event"]>) => Promise<Calls[N]["out"]>;
};
