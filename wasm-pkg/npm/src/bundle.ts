// The files that a manifest describes, each fetched once; what only earlier versions used goes when all have arrived.

import { download } from "./download.js";
import { asError, NameLensError } from "./errors.js";
import { collect, type FileRules, type Part, type Repository } from "./folder.js";
import { forget, keepPublished, makingRoom, type Keeper } from "./keep.js";
import { parseManifest, sha256, type Manifest, type ManifestFile } from "./manifest.js";
import type { BundleSource, ModelChoice } from "./protocol.js";
import { addressIn } from "./remote.js";
import { readText, replaceText, writeText, type Vault } from "./vault.js";

/** Before the digest of its address: the manifest whose files all arrived; with a digest of its text behind: one whose files are on their way. */
const MANIFEST_KEY = "manifest-";
const DAY_MS = 24 * 60 * 60 * 1000;
/** After how many days without a visit a model of another address makes way for one of the same name. */
const UNUSED_DAYS = 30;

/** The files that a manifest describes. */
export class Bundle implements Repository {
  readonly name: string;
  readonly #manifest: Manifest;
  /** What the manifest was read from. */
  readonly #text: string;
  readonly #source: BundleSource;
  readonly #keeper: Keeper;
  #begun: Promise<void> | null = null;

  private constructor(text: string, source: BundleSource, keeper: Keeper) {
    this.#manifest = parseManifest(text, source.manifest);
    this.name = this.#manifest.name;
    this.#text = text;
    this.#source = source;
    this.#keeper = keeper;
  }

  /** The bundle as it is published now; as it was kept last, where its server cannot be reached. */
  static async open(source: BundleSource, keeper: Keeper): Promise<Bundle> {
    const { vault, signal } = keeper;
    try {
      // `no-cache` revalidates: a published update is seen at the next visit, an unchanged one costs nothing.
      const bytes = await download(source.manifest, null, () => undefined, signal, "no-cache");
      return new Bundle(new TextDecoder().decode(bytes), source, keeper);
    } catch (thrown) {
      const unreachable = ["network", "http"].includes(asError(thrown).code);
      const kept = unreachable ? await lastKept(source.manifest, vault) : null;
      if (kept === null) throw thrown;
      return new Bundle(kept, source, keeper);
    }
  }

  /** Whether anything of the bundle at this address was ever kept. */
  static async isKnown(manifest: string, { vault }: Keeper): Promise<boolean> {
    return (await lastKept(manifest, vault)) !== null;
  }

  async list(): Promise<readonly string[]> {
    return this.#manifest.files.map(({ name }) => name);
  }

  async find(names: readonly string[]): Promise<ReadonlySet<string>> {
    const all = new Set(await this.list());
    return new Set(names.filter((name) => all.has(name)));
  }

  announce(names: readonly string[]): void {
    for (const name of names) this.#keeper.onProgress("download", name, 0, this.#file(name).bytes);
  }

  async open(name: string): Promise<Blob> {
    await (this.#begun ??= this.#begin());
    const file = this.#file(name);
    const url = this.#source.files?.[name] ?? addressIn(this.#source.manifest, file.path);
    const keep = (): Promise<Blob> => keepPublished({ ...file, url }, this.#keeper);
    // An update lies beside what it replaces, unless there is no space for both.
    const blob = await makingRoom(keep, () => this.#forgetOlder(true));
    this.#keeper.onProgress("download", name, file.bytes, file.bytes);
    return blob;
  }

  /** Bytes of a file, and whether it is kept already. */
  async state(name: string): Promise<{ bytes: number; kept: boolean }> {
    const { bytes, sha256 } = this.#file(name);
    return { bytes, kept: (await this.#keeper.vault.read(sha256))?.size === bytes };
  }

  /** All has arrived: from now on this is the version that is kept, and what only earlier ones used is deleted. Never rejects for want of space. */
  async settle(): Promise<void> {
    const { vault } = this.#keeper;
    const [key, coming] = await this.#keys();
    const kept = await manifestUnder(key, vault);
    await this.#forgetOlder(false);
    // An unchanged one is written again once a day: that tells when it was used last.
    const fresh = kept?.text === this.#text && kept.days < 1;
    if (fresh || (await replaceText(vault, key, this.#text))) await vault.delete(coming);
  }

  /** The files as they were when the whole model was fetched last; null where that is this version, or not all are still kept. */
  async before(choice: ModelChoice, part: Part, rules: FileRules): Promise<Map<string, Blob> | null> {
    const kept = await lastKept(this.#source.manifest, this.#keeper.vault);
    if (kept === null || kept === this.#text) return null;
    return collect(new Bundle(kept, this.#source, this.#keeper), rules, choice, part).catch(() => null);
  }

  /** Notes what is about to be fetched, so that nothing is kept which no manifest names. */
  async #begin(): Promise<void> {
    const { vault } = this.#keeper;
    const [key, coming] = await this.#keys();
    for (const known of [key, coming]) if ((await readText(vault, known)) === this.#text) return;
    // Without space for it the model still works.
    await writeText(vault, coming, this.#text).catch(() => undefined);
  }

  /** Where the manifest is kept when all has arrived, and until then. */
  async #keys(): Promise<[whole: string, coming: string]> {
    const key = await manifestKey(this.#source.manifest);
    return [key, `${key}-${(await digestOf(this.#text)).slice(0, 16)}`];
  }

  /** Deletes kept files that only older versions of this bundle used; where space is wanted, those of every other one of its name. */
  async #forgetOlder(wanting: boolean): Promise<void> {
    const { vault } = this.#keeper;
    const [own] = await this.#keys();
    const needed = new Set(this.#manifest.files.map((file) => file.sha256));
    const stale = new Map<string, readonly ManifestFile[]>();
    for (const key of await vault.keys()) {
      if (!key.startsWith(MANIFEST_KEY)) continue;
      const kept = await manifestUnder(key, vault);
      if (!kept) stale.set(key, []);
      else if (kept.text === this.#text) continue;
      else if (key.startsWith(own) || (kept.name === this.name && (wanting || isOlder(kept, this.#manifest)))) stale.set(key, kept.files);
      else for (const file of kept.files) needed.add(file.sha256);
    }
    for (const [key, files] of stale) {
      for (const file of files) if (!needed.has(file.sha256)) await forget(file.sha256, vault);
      await vault.delete(key);
    }
  }

  #file(name: string): ManifestFile {
    const file = this.#manifest.files.find((file) => file.name === name);
    if (!file) throw new NameLensError("missing", `${this.name}: ${name} is missing from the manifest`);
    return file;
  }
}

/** A manifest that is kept, and how many days ago it was written. */
interface KeptManifest extends Manifest {
  readonly text: string;
  readonly days: number;
}

/** Null for one that cannot be read. */
async function manifestUnder(key: string, vault: Vault): Promise<KeptManifest | null> {
  const file = await vault.read(key);
  try {
    const text = (await file?.text()) ?? "";
    const days = file && "lastModified" in file ? (Date.now() - (file as File).lastModified) / DAY_MS : 0;
    return { ...parseManifest(text, key), text, days };
  } catch {
    return null;
  }
}

/**
 * Whether a bundle of another address makes way for the current one of its name: a lower version, or one that nobody used for long. An
 * address alone says nothing: bundlers and CDNs give every release another one, and two apps of one origin may each have their own.
 */
function isOlder({ version, days }: KeptManifest, current: Manifest): boolean {
  if (days > UNUSED_DAYS) return true;
  // What `namelens export` writes is a digest, which has no order.
  const ordered = [version, current.version].every((one) => /^\d+(\.\d+)+$/.test(one));
  return ordered && version.localeCompare(current.version, "en", { numeric: true }) < 0;
}

/** The manifest of an address whose files all arrived, or else of files that were on their way. */
async function lastKept(url: string, vault: Vault): Promise<string | null> {
  const key = await manifestKey(url);
  for (const one of [key, ...(await vault.keys()).filter((other) => other.startsWith(`${key}-`))]) {
    const kept = await manifestUnder(one, vault);
    if (kept) return kept.text;
  }
  return null;
}

const digestOf = (text: string): Promise<string> => sha256(new TextEncoder().encode(text));
const manifestKey = async (url: string): Promise<string> => MANIFEST_KEY + (await digestOf(url));
