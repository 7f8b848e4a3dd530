// The one NameLens of the page: loads it, tells who listens how that goes, and starts over on another device.

import { NameLens, NameLensError, type Concept, type Device, type LoadProgress, type ModelInput } from "namelens";
import { assignColors } from "./colors.js";
import { modelFiles, storedModel, type StoredModel } from "./models/store.js";

export type DeviceWish = Device | "auto";

/** The two rooms of the page, each with its model and its own library of things. */
export type Room = "photos" | "playroom";

/** What the session tells the rest of the page. */
export interface SessionListener {
  /** Loading began or moved on; `null` when it is over. */
  loading?(progress: LoadProgress | null): void;
  /** Loading failed. */
  failed?(error: unknown): void;
  /** Loaded. */
  ready?(lens: NameLens): void;
  /** The things changed, here or in another tab. */
  concepts?(concepts: readonly Concept[]): void;
}

/** The room that the address asks for. */
const wishedRoom = (): Room => (new URLSearchParams(location.search).get("room") === "playroom" ? "playroom" : "photos");

/** The downloaded model that the address asks for (`#model=owner/name`, with or without `@commit`), if any. */
const wishedStored = (): string | null => new URLSearchParams(location.hash.slice(1)).get("model");
/** The folder that it asks for (`?model=folder/`), if any. */
const wishedFolder = (): string | null => new URLSearchParams(location.search).get("model");

/** The model that the address asks for; from this browser or this origin only, as the page promises. */
async function wishedModel(): Promise<ModelInput | null> {
  const stored = wishedStored();
  if (stored) {
    const model = await storedModel(stored);
    if (model?.ready) return modelFiles(model);
    const what = model ? "is not downloaded to its end" : "is not in this browser";
    throw new NameLensError("missing", `${stored} ${what}`, { hint: "“Change the model” at the foot of the page leads to where models are downloaded." });
  }
  const asked = wishedFolder();
  if (!asked) return null;
  const url = new URL(asked, document.baseURI);
  if (url.origin !== location.origin) {
    throw new NameLensError("option", `?model=${asked}: a model must lie beside this page, on ${location.origin}`);
  }
  return url;
}

/** What looks through photos: the built-in model, with another one that writes captions beside it; or that one, where it recognises things. */
async function besidePhotos(
  other: ModelInput | null,
  device: DeviceWish,
  signal: AbortSignal,
): Promise<{ model: ModelInput; captioner?: ModelInput }> {
  if (!other) return { model: "photos" };
  // By the module that it will run on: another one would be fetched for this alone, and be missing without a connection.
  const { model } = await NameLens.availability({ model: other, device, signal });
  return model.captions ? { model: "photos", captioner: other } : { model: other };
}

/** Loading, the loaded engine, and the things it knows. */
export class Session {
  readonly #listeners: SessionListener[] = [];
  #abort = new AbortController();
  #lens: Promise<NameLens> | null = null;
  #concepts: readonly Concept[] = [];
  #restarting = false;
  /** What the visitor chose; null is the built-in model, undefined leaves it to the address. */
  #chosen: ModelInput | null | undefined;

  /** What was chosen in rooms that are not open; the address speaks of the first one only. */
  readonly #elsewhere = new Map<Room, ModelInput | null | undefined>();
  #room: Room = wishedRoom();

  /** The room that is open. */
  get room(): Room {
    return this.#room;
  }

  /** Opens the other room and loads its model. */
  async enter(room: Room, device: DeviceWish): Promise<void> {
    if (room === this.#room) return;
    this.#elsewhere.set(this.#room, this.#chosen);
    this.#chosen = this.#elsewhere.has(room) ? this.#elsewhere.get(room) : null;
    this.#room = room;
    this.#concepts = [];
    await this.start(device);
  }

  /** Adds a listener. */
  listen(listener: SessionListener): void {
    this.#listeners.push(listener);
  }

  /** The things as last heard of. */
  get concepts(): readonly Concept[] {
    return this.#concepts;
  }

  /** The engine; waits for loading. Rejects when loading failed. */
  lens(): Promise<NameLens> {
    return this.#lens ?? Promise.reject(new Error("loading has not begun"));
  }

  /** Whether the model is, or would be, the one that comes with the page. */
  get isBuiltIn(): boolean {
    return this.#chosen === null || (this.#chosen === undefined && !wishedStored() && !wishedFolder());
  }

  /** Whether it is this downloaded one. */
  isStored({ key, plan }: StoredModel): boolean {
    return this.#chosen === undefined && [key, plan.id].includes(wishedStored() ?? "");
  }

  /** Takes another model from the next start on; null is the built-in one. */
  choose(model: ModelInput | null): void {
    this.#chosen = model;
    // What the address says would be another one from now on.
    if (wishedStored()) history.replaceState(null, "", location.pathname + location.search);
  }

  /** Takes a downloaded model from the next start on; the address remembers it. */
  chooseStored({ key }: StoredModel): void {
    this.#chosen = undefined;
    history.replaceState(null, "", `${location.pathname}${location.search}#model=${encodeURIComponent(key)}`);
  }

  /** Stops loading; what has arrived is kept for the next try. */
  stop(): void {
    this.#abort.abort();
  }

  /** Loads the engine for a device, in place of the one before. Never rejects: failures go to the listeners. */
  async start(device: DeviceWish): Promise<void> {
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    const before = this.#lens;
    this.#tell("loading", { stage: "engine", done: 0, total: 0 });
    let started: NameLens | null = null;
    const onProgress = (progress: LoadProgress): void => {
      if (this.#abort !== abort) return; // a newer start took over
      this.#tell("loading", progress);
      if (started) void this.#restarted(started, abort);
    };
    this.#lens = (async () => {
      // The old engine is given up first: a phone may not have the memory for two.
      await before?.then((lens) => lens.dispose()).catch(() => undefined);
      const model = this.#chosen === undefined ? await wishedModel() : this.#chosen;
      const { signal } = abort;
      const models = this.#room === "playroom" ? { model: model ?? "playroom" } : { library: "photos", ...(await besidePhotos(model, device, signal)) };
      return NameLens.create({ device, signal, precision: "auto", onProgress, ...models });
    })();
    try {
      const lens = await this.#lens;
      started = lens;
      lens.concepts.onChange(() => void this.#refresh(lens));
      await this.#refresh(lens);
      this.#tell("loading", null);
      this.#tell("ready", lens);
    } catch (error) {
      if (this.#abort !== abort) return; // a newer start took over
      this.#tell("loading", null);
      this.#tell("failed", error);
    }
  }

  /** An engine that died starts anew by itself, and says only how that goes: its first answer tells that it is there. */
  async #restarted(lens: NameLens, { signal }: AbortController): Promise<void> {
    if (this.#restarting) return;
    this.#restarting = true;
    const works = await lens.memory().then(
      () => true,
      () => false, // whoever called it hears of that
    );
    this.#restarting = false;
    if (signal.aborted) return;
    this.#tell("loading", null);
    if (works) this.#tell("ready", lens);
  }

  async #refresh(lens: NameLens): Promise<void> {
    const concepts = await lens.concepts.list();
    const current = await this.#lens?.catch(() => null);
    if (current && current !== lens) return; // another room was opened meanwhile
    this.#concepts = concepts;
    assignColors(this.#concepts, this.#room);
    this.#tell("concepts", this.#concepts);
  }

  #tell<Name extends keyof SessionListener>(
    name: Name,
    ...values: Parameters<NonNullable<SessionListener[Name]>>
  ): void {
    for (const listener of this.#listeners) {
      (listener[name] as ((...values: unknown[]) => void) | undefined)?.(...values);
    }
  }
}
