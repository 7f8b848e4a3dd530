// A checkpoint folder on a server: asked what it has, fetched file by file, kept for visits without a connection.

import { asError, cancelled, NameLensError } from "./errors.js";
import { isWeights, type Part, type Repository } from "./folder.js";
import { isKept, keepCurrent, keptWhole, makingRoom, weakly, type Current, type Keeper } from "./keep.js";
import { sha256 } from "./manifest.js";
import type { ModelChoice } from "./protocol.js";
import { replyOf } from "./transfer.js";
import { readText, replaceText } from "./vault.js";

/** Answers that mean: there is no such file. */
const ABSENT = [404, 410];
/** Answers of servers that do not know HEAD. */
const NO_HEAD = [405, 501];

/** The address of a file in a folder; what comes after a `?` in the folder's address is kept. */
export function addressIn(folder: string, name: string): string {
  const url = new URL(name, folder);
  url.search = new URL(folder).search;
  return url.href;
}

/** What a folder's address calls the model: `org/model` of a hub's `.../org/model/resolve/main/`. */
export function nameOf(folder: string): string {
  const parts = new URL(folder).pathname.split("/").filter((part) => part !== "").map(decode);
  const resolve = parts.indexOf("resolve");
  if (resolve >= 2) return parts.slice(resolve - 2, resolve).join("/");
  return parts.at(-1) ?? new URL(folder).host;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Most pages of a hub's list of files; each has up to a thousand. */
const MAX_PAGES = 20;

/**
 * Where a hub lists the files below a folder `.../org/model/resolve/revision/`, and the path of that folder in the
 * repository; null for addresses of another form, whose servers list nothing.
 */
export function listingOf(folder: string): { url: string; prefix: string } | null {
  const url = new URL(folder);
  const parts = url.pathname.split("/").filter((part) => part !== "");
  const at = parts.indexOf("resolve");
  const revision = parts[at + 1];
  if (at < 2 || revision === undefined) return null;
  const inside = parts.slice(at + 2);
  const before = parts.slice(0, at - 2);
  url.pathname = `/${[...before, "api", "models", ...parts.slice(at - 2, at), "tree", revision, ...inside].join("/")}`;
  url.searchParams.set("recursive", "true");
  return { url: url.href, prefix: inside.map((part) => `${decode(part)}/`).join("") };
}

/** A file that the server has, and the key under which this version of it is kept. */
interface Found extends Current {
  readonly key: string;
}

/** The folder at an address that ends in a slash (a query may follow). */
export class RemoteFolder implements Repository {
  readonly name: string;
  readonly #address: string;
  readonly #keeper: Keeper;
  readonly #known = new Map<string, Found>();
  /** What was opened by its name, each with the one in the model. */
  readonly #opened = new Map<string, { readonly own: string; readonly file: Found }>();

  constructor(address: string, keeper: Keeper) {
    this.name = nameOf(address);
    this.#address = address;
    this.#keeper = keeper;
  }

  /** As the hub lists them. A server that cannot, or may not be asked from this page, is asked for each file instead. */
  async list(): Promise<readonly string[] | null> {
    const listing = listingOf(this.#address);
    if (!listing) return null;
    const { signal } = this.#keeper;
    const paths: string[] = [];
    let next: string | null = listing.url;
    try {
      for (let page = 0; next !== null; page += 1) {
        const response: Response = await fetch(next, { signal, cache: "no-cache" });
        if (!response.ok || page === MAX_PAGES) return null;
        const entries = (await response.json()) as readonly { type?: unknown; path?: unknown }[];
        for (const { type, path } of entries) {
          if (type === "file" && typeof path === "string" && path.startsWith(listing.prefix)) {
            paths.push(path.slice(listing.prefix.length));
          }
        }
        const link: string | undefined = /<([^>]+)>\s*;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
        next = link === undefined ? null : new URL(link, next).href;
      }
    } catch {
      if (signal.aborted) throw cancelled(signal);
      return null;
    }
    return paths.length > 0 ? paths : null;
  }

  async find(names: readonly string[]): Promise<ReadonlySet<string>> {
    const there = await Promise.all(names.map(async (name) => (await this.#look(name)) !== null));
    return new Set(names.filter((_, index) => there[index]));
  }

  announce(names: readonly string[]): void {
    for (const name of names) this.#keeper.onProgress("download", name, 0, this.#known.get(name)?.bytes ?? 0);
  }

  async open(name: string, own = name): Promise<Blob> {
    const file = await this.#there(name);
    const keep = (): Promise<Blob> => keepCurrent(file.key, file, this.#keeper);
    // An update lies beside what it replaces, unless there is no space for both.
    const blob = await makingRoom(keep, () => this.#forgetReplaced(this.#known.values()));
    this.#opened.set(name, { own, file });
    this.#keeper.onProgress("download", name, blob.size, blob.size);
    return blob;
  }

  /** All has arrived: remembers what was opened, for {@link before}, and deletes earlier versions of it. Never rejects for want of space. */
  async settle(choice: ModelChoice, part: Part): Promise<void> {
    const { vault } = this.#keeper;
    if (!vault.lasting) return;
    const key = await listKey(this.#address, choice, part);
    const opened = [...this.#opened.values()];
    const list = JSON.stringify(opened.map(({ own, file }) => [own, file.key]).sort());
    const write = async (): Promise<boolean> => (await readText(vault, key)) === list || replaceText(vault, key, list);
    const written = await write();
    await this.#forgetReplaced(opened.map(({ file }) => file));
    if (!written) await write();
  }

  /** The files as they were when the whole model was fetched last; null unless all are still kept. */
  async before(choice: ModelChoice, part: Part): Promise<Map<string, Blob> | null> {
    const { vault } = this.#keeper;
    let list: unknown;
    try {
      list = JSON.parse((await readText(vault, await listKey(this.#address, choice, part))) ?? "");
    } catch {
      return null;
    }
    if (!Array.isArray(list)) return null;
    const files = new Map<string, Blob>();
    for (const [own, key] of list.map((pair: unknown) => (Array.isArray(pair) ? pair.map(String) : []))) {
      const blob = key === undefined ? null : await keptWhole(key, vault);
      if (!blob || own === undefined) return null;
      files.set(own, blob);
    }
    return files;
  }

  /** Bytes of a file on the server, null where it does not say; and whether the same one is kept already. */
  async state(name: string): Promise<{ bytes: number | null; kept: boolean }> {
    const file = await this.#there(name);
    return { bytes: file.bytes, kept: await isKept(file.key, file, this.#keeper.vault) };
  }

  /** Deletes other versions of these files than the server has now. */
  async #forgetReplaced(files: Iterable<Found>): Promise<void> {
    const { vault } = this.#keeper;
    const current = new Set([...files].map(({ key }) => key));
    const addresses = new Set([...current].map((key) => key.slice(0, ADDRESS)));
    for (const key of await vault.keys()) {
      if (addresses.has(key.slice(0, ADDRESS)) && !current.has(key.slice(0, WHOLE_KEY))) await vault.delete(key);
    }
  }

  async #there(name: string): Promise<Found> {
    const file = this.#known.get(name) ?? (await this.#look(name));
    if (!file) throw new NameLensError("missing", `${this.name}: ${name} is missing`);
    return file;
  }

  /** Asks the server for the file's size and validator; null when it is not there. */
  async #look(name: string): Promise<Found | null> {
    const url = addressIn(this.#address, name);
    const response = await this.#ask(url);
    const html = response.headers.get("content-type")?.startsWith("text/html") ?? false;
    // Servers of single-page apps answer every address with their page.
    if (ABSENT.includes(response.status) || (response.ok && html)) return null;
    if (!response.ok) throw new NameLensError("http", `${url}: the server answered ${response.status}`);
    const { contentLength, validator, encoded } = replyOf(response);
    const file = { url, name, binary: isWeights(name), bytes: encoded ? null : contentLength, validator };
    const found = { ...file, key: await keyOf(file) };
    this.#known.set(name, found);
    return found;
  }

  async #ask(url: string): Promise<Response> {
    const { signal } = this.#keeper;
    try {
      const response = await fetch(url, { method: "HEAD", signal, cache: "no-cache" });
      if (!NO_HEAD.includes(response.status)) return response;
      const whole = await fetch(url, { signal, cache: "no-cache" });
      await whole.body?.cancel();
      return whole;
    } catch (thrown) {
      if (signal.aborted) throw cancelled(signal);
      throw new NameLensError("network", `${url}: ${asError(thrown).message}`, { cause: thrown });
    }
  }
}

const digestOf = (text: string): Promise<string> => sha256(new TextEncoder().encode(text));

/** Characters of a key that stand for the address alone, and of all of it; what follows is a note's. */
const ADDRESS = "file-".length + 64;
const WHOLE_KEY = ADDRESS + "-".length + 16;

/** Each version of a file has a key of its own: until a newer one has arrived, the one that worked is there. */
async function keyOf({ url, binary, bytes, validator }: Current): Promise<string> {
  // What says nothing of its version may be another one at every visit.
  const version = validator === null ? (binary && bytes !== null ? `${bytes} bytes` : String(Math.random())) : weakly(validator);
  return `file-${await digestOf(url)}-${(await digestOf(version)).slice(0, 16)}`;
}

/** Another choice among the same files, or another part of them, is another model. */
const listKey = async (address: string, { weights, mmproj, adapters }: ModelChoice, part: Part): Promise<string> =>
  `folder-${await digestOf([address, weights, mmproj, ...(adapters ?? []), ...(part === "whole" ? [] : [`part ${part}`])].join("\n"))}`;
