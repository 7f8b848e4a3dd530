// The shelf of named things: add, read, change, delete, carry elsewhere.

import { NameLensError } from "./errors.js";
import type { Calling } from "./link.js";
import { photoBytes } from "./photo.js";
import type { ReferencePhoto } from "./protocol.js";
import type { Box, Concept, ImportedConcepts, PhotoSource } from "./types.js";

/** A photo, and where in it the thing is. */
export interface BoxedPhoto {
  readonly photo: PhotoSource;
  readonly box?: Box | undefined;
}

/** One photo of a thing, or several. */
export type Photos = PhotoSource | BoxedPhoto | readonly (PhotoSource | BoxedPhoto)[];

/** A thing to be known from now on. */
export interface AddConcept {
  readonly name: string;
  /** One photo is enough; more views help. */
  readonly photo: Photos;
  /** Where in its one photo the thing is; of several photos each has a `box` of its own. Left out: what stands out is taken. */
  readonly box?: Box | undefined;
  readonly aliases?: readonly string[] | undefined;
  /** What kind of thing it is, such as "cat". */
  readonly category?: string | undefined;
  /** What cannot be seen: "loves jam", "was bought in Lisbon". */
  readonly info?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What to change; the rest stays. */
export interface EditConcept {
  readonly name?: string | undefined;
  readonly aliases?: readonly string[] | undefined;
  readonly category?: string | undefined;
  readonly info?: string | undefined;
  readonly addPhoto?: Photos | undefined;
  /** Where in the one added photo the thing is. */
  readonly box?: Box | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The concepts of one {@link NameLens}. Every change is kept, and seen by the very next run. */
export class Concepts {
  readonly #caller: Calling;
  readonly #listeners = new Set<() => void>();

  /** @internal */
  constructor(caller: Calling) {
    this.#caller = caller;
  }

  /** Adds a concept. Rejects with `concept` when the name is taken or unusable, `image` for a bad photo, `option` for a bad box. */
  async add({ photo, box, signal, ...rest }: AddConcept): Promise<Concept> {
    const photos = await allPhotos(photo, box, signal);
    return this.#changed(this.#caller.call("addConcept", { ...rest, photos }, { signal }));
  }

  /** All concepts, oldest first. */
  async list(): Promise<Concept[]> {
    return this.#caller.call("listConcepts", undefined);
  }

  /** One concept by its id, or else by its name; `null` when there is none. */
  async get(idOrName: string): Promise<Concept | null> {
    const all = await this.list();
    return all.find(({ id }) => id === idOrName) ?? all.find(({ name }) => name === idOrName) ?? null;
  }

  /** The reference photos of a concept, as they were given. */
  async photos(id: string): Promise<Blob[]> {
    return (await this.references(id)).map(({ photo }) => photo);
  }

  /** The same, each with the box of the thing in it; null where nobody gave one. */
  async references(id: string): Promise<{ photo: Blob; box: Box | null }[]> {
    const photos = await this.#caller.call("conceptPhotos", { id });
    return photos.map(({ bytes, box }) => ({ photo: new Blob([bytes.slice()]), box: box ?? null }));
  }

  /** Changes a concept. */
  async update(id: string, { addPhoto, box, signal, ...rest }: EditConcept): Promise<Concept> {
    if (addPhoto === undefined && box !== undefined) {
      throw new NameLensError("option", "box: says where the thing is in a photo that is added; give that as addPhoto");
    }
    const addPhotos = addPhoto === undefined ? undefined : await allPhotos(addPhoto, box, signal);
    const patch = addPhotos ? { ...rest, addPhotos } : rest;
    return this.#changed(this.#caller.call("updateConcept", { id, patch }, { signal }));
  }

  /** Gives a concept another name. */
  async rename(id: string, name: string): Promise<Concept> {
    return this.update(id, { name });
  }

  /** Forgets a concept and its photos. */
  async remove(id: string): Promise<void> {
    return this.#changed(this.#caller.call("removeConcept", { id }));
  }

  /**
   * Adds the concepts of a file: one that {@link export} wrote, or a RAP/RePIC `database.json` together with its
   * `photos` by name or path (a picked folder's `webkitRelativePath`). `path` is the file's own path among them, where it
   * has one. What of a database cannot be used, such as a thing whose photo is missing or could be several files, is left
   * out and told in `problems`; with code `bundle` nothing was imported, with `option` no file was given.
   */
  async import(
    file: Blob,
    photos: ReadonlyMap<string, Blob> = new Map(),
    { path = pathOf(file) }: { readonly path?: string | undefined } = {},
  ): Promise<ImportedConcepts> {
    if (!isFile(file)) throw new NameLensError("option", "file: must be a file of things; the folder may have no database.json");
    const bytes = new Uint8Array(
      await file.arrayBuffer().catch((cause: unknown) => {
        throw new NameLensError("bundle", "the file cannot be read", { cause });
      }),
    );
    const place = path ? { path } : {};
    const given = [...photos.keys()];
    // Folders hold more than photos: only what is needed is read and sent.
    const needed = given.length > 0 ? await this.#caller.call("photosOfFile", { bytes: bytes.slice(), ...place, given }) : [];
    const encoded = new Map<string, Uint8Array>();
    for (const name of needed) {
      const photo = photos.get(name);
      if (photo) encoded.set(name, await photoBytes(photo).catch(() => rawBytes(name, photo)));
    }
    const sent = this.#caller.call("importConcepts", { bytes, ...place, photos: encoded });
    const { concepts, renamed, problems } = await this.#changed(sent);
    return Object.assign([...concepts], { renamed, problems });
  }

  /** All concepts, or those with the given ids, as one file. */
  async export(ids?: readonly string[]): Promise<Blob> {
    const bytes = await this.#caller.call("exportConcepts", ids ? { ids } : {});
    return new Blob([bytes.slice()], { type: "application/json" });
  }

  /** Calls `listener` after every change, also by another tab. Returns a function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @internal */
  notify(): void {
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (thrown) {
        // The change was made all the same, and the others hear of it.
        (globalThis.reportError ?? console.error)(thrown);
      }
    }
  }

  async #changed<T>(change: Promise<T>): Promise<T> {
    const value = await change;
    this.notify();
    return value;
  }
}

/** Whether it can be read as one; a search among files may have found none. */
const isFile = (file: Blob | undefined): boolean => typeof file?.arrayBuffer === "function";

/** Where a file lies in the folder that was picked. */
const pathOf = (file: Partial<File> | undefined): string | undefined => file?.webkitRelativePath || undefined;

/** The bytes of what is no photo: the engine says so of the thing it is for. */
async function rawBytes(name: string, file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  if (!isFile(file)) throw new NameLensError("image", `${name}: is no file`);
  const bytes = await file.arrayBuffer().catch((cause: unknown) => {
    throw new NameLensError("image", `${name}: the file cannot be read`, { cause });
  });
  return new Uint8Array(bytes);
}

/** `box` as it crosses to the engine. Throws `option` for what is no box; how it lies in the photo is the engine's to say. */
export function checkedBox(box: Box): Box {
  const numbers = Array.isArray(box) && box.length === 4 && box.every((side) => typeof side === "number" && Number.isFinite(side));
  if (numbers) return [...box] as unknown as Box;
  throw new NameLensError("option", "box: must be four numbers from 0 to 1: left, top, right and bottom, as fractions of the photo");
}

async function allPhotos(given: Photos, box: Box | undefined, signal?: AbortSignal): Promise<ReferencePhoto[]> {
  const list = Array.isArray(given) ? (given as readonly (PhotoSource | BoxedPhoto)[]) : [given as PhotoSource | BoxedPhoto];
  if (list.length === 0) throw new NameLensError("option", "photo: none was given; one is needed, more views help");
  const photos = list.map((one): BoxedPhoto => (isBoxed(one) ? one : { photo: one }));
  if (box !== undefined && (photos.length !== 1 || photos[0]?.box)) {
    throw new NameLensError("option", "box: is for one photo; of several give each its own: [{ photo, box }, ...]");
  }
  return Promise.all(
    photos.map(async ({ photo, box: own = box }) => {
      const place = own === undefined ? {} : { box: checkedBox(own) };
      return { bytes: await photoBytes(photo, signal), ...place };
    }),
  );
}

function isBoxed(one: PhotoSource | BoxedPhoto): one is BoxedPhoto {
  return typeof one === "object" && one !== null && "photo" in one;
}
