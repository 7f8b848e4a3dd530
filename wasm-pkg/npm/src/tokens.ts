// What the captioner made of reference photos, between visits: private files by photo and model, gone with their photo.

import type { Engine } from "./engine.js";
import type { StoredConcept } from "./types.js";
import { openVault } from "./vault-open.js";
import { writeBytes, type Vault } from "./vault.js";

const FOLDER = "namelens-tokens";
/** Most files, which are a hundred kilobytes each for the smallest captioners. */
const MOST = 300;
/** Most bytes of all files: a photo is tens of megabytes to the largest captioners. */
const MOST_BYTES = 256 * 2 ** 20;
/** Of what the browser keeps for the page beside all else, the share that may be theirs: things and photos of the visitor come first. */
const SHARE = 1 / 4;
/** Digits of a name that are its photo's. */
const DIGITS = 32;

/** The files of one library. */
export class KeptTokens {
  readonly #vault: Vault;
  /** Writes and deletions, one after the other. */
  #last: Promise<void> = Promise.resolve();

  private constructor(vault: Vault) {
    this.#vault = vault;
  }

  /** Opens them; null where nothing would last. */
  static async open(library?: string): Promise<KeptTokens | null> {
    const vault = await openVault(library === undefined ? FOLDER : `${FOLDER}-${library}`);
    return vault.lasting ? new KeptTokens(vault) : null;
  }

  /** Lets an engine use them. */
  serve(engine: Engine): void {
    engine.keepIn(
      (name) => this.#read(name),
      (name, bytes) => this.#after(() => this.#write(name, Uint8Array.from(bytes))),
    );
  }

  /** Deletes what was made of these photos, by any model. */
  forget(photos: Photos): Promise<void> {
    return this.#after(async () => {
      const gone = await namesOf(photos);
      await this.#deleteWhere((photo) => gone.has(photo));
    });
  }

  /** Deletes what was made of photos that belong to none of these concepts: other tabs may write what this one has just deleted. */
  sweep(concepts: readonly StoredConcept[]): Promise<void> {
    return this.#after(async () => {
      if ((await this.#vault.keys()).length === 0) return;
      const there = await namesOf(concepts.flatMap(({ photos }) => photos));
      await this.#deleteWhere((photo) => !there.has(photo));
    });
  }

  async #deleteWhere(isGone: (photo: string) => boolean): Promise<void> {
    for (const name of await this.#vault.keys()) if (isGone(name.slice(0, DIGITS))) await this.#vault.delete(name);
  }

  async #read(name: string): Promise<Uint8Array | null> {
    const blob = await this.#vault.read(name);
    // The engine checks the bytes, and a file that cannot be read is one that is not there.
    return blob ? blob.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null) : null;
  }

  async #write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (!(await this.#makeRoom(name, bytes.byteLength))) return;
    await writeBytes(this.#vault, name, bytes).catch(async (thrown: unknown) => {
      await this.#vault.delete(name); // what is cut off helps nobody
      throw thrown;
    });
  }

  /** Deletes others until a file of that size is within bounds; false where it would be beyond them alone. */
  async #makeRoom(name: string, bytes: number): Promise<boolean> {
    const others = (await this.#vault.keys()).filter((other) => other !== name);
    const sizes = new Map(await Promise.all(others.map(async (other) => [other, (await this.#vault.read(other))?.size ?? 0] as const)));
    let held = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const free = await this.#vault.free();
    const most = free === null ? MOST_BYTES : Math.min(MOST_BYTES, (held + Math.max(0, free)) * SHARE);
    if (bytes > most) return false;
    // Those of other models first: what is written now is in use.
    const model = (other: string): string => other.slice(DIGITS);
    const inUse = (other: string): number => Number(model(other) === model(name));
    for (const other of others.sort((a, b) => inUse(a) - inUse(b))) {
      if (sizes.size < MOST && held + bytes <= most) break;
      held -= sizes.get(other) ?? 0;
      sizes.delete(other);
      await this.#vault.delete(other);
    }
    return true;
  }

  /** Nobody depends on what is kept: a failure only means that it is computed again. */
  #after(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch(() => undefined);
    return this.#last;
  }
}

type Photos = readonly { readonly bytes: Uint8Array }[];

/** One after the other: each is copied to be digested. */
async function namesOf(photos: Photos): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for (const { bytes } of photos) names.add(await digits(bytes));
  return names;
}

async function digits(photo: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(photo)));
  return Array.from(hash.subarray(0, DIGITS / 2), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
