// What the captioner made of reference photos, between visits: private files by photo and model, gone with their photo.

import type { Engine } from "./engine.js";
import type { Vault } from "./vault.js";
import { openVault } from "./vault-open.js";

const FOLDER = "namelens-tokens";
/** Most files: a hundred kilobytes each for the smallest captioners, so some tens of megabytes. */
const MOST = 300;
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
  forget(photos: readonly { readonly bytes: Uint8Array }[]): Promise<void> {
    return this.#after(async () => {
      const gone = new Set(await Promise.all(photos.map(({ bytes }) => digits(bytes))));
      for (const name of await this.#vault.keys()) {
        if (gone.has(name.slice(0, DIGITS))) await this.#vault.delete(name);
      }
    });
  }

  async #read(name: string): Promise<Uint8Array | null> {
    const blob = await this.#vault.read(name);
    // The engine checks the bytes, and a file that cannot be read is one that is not there.
    return blob ? blob.arrayBuffer().then((buffer) => new Uint8Array(buffer), () => null) : null;
  }

  async #write(name: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const names = await this.#vault.keys();
    // Those of other models first: what is written now is in use.
    const model = (other: string): string => other.slice(DIGITS);
    const others = names.filter((other) => model(other) !== model(name));
    for (const other of [...others, ...names].slice(0, Math.max(0, names.length + 1 - MOST))) await this.#vault.delete(other);
    const slot = await this.#vault.slot(name);
    try {
      await slot.truncate(0);
      await slot.write(bytes, 0);
      await slot.flush();
    } finally {
      await slot.close();
    }
  }

  /** Nobody depends on what is kept: a failure only means that it is computed again. */
  #after(work: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(work).catch(() => undefined);
    return this.#last;
  }
}

async function digits(photo: Uint8Array): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", Uint8Array.from(photo)));
  return Array.from(hash.subarray(0, DIGITS / 2), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
