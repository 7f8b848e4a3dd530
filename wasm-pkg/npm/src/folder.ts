// Which files of a checkpoint folder make up a model, wherever the folder is.

import { NameLensError } from "./errors.js";

/** A folder that can be asked for files by name. */
export interface Folder {
  /** What messages call it. */
  readonly name: string;
  /** Which of these files it has. */
  find(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** Hears which of the found files will be opened, so that progress knows its end. */
  plan?(names: readonly string[]): void;
  /** A file that `find` found. */
  open(name: string): Promise<Blob>;
}

const NEEDED = ["config.json", "tokenizer.json"];
const TEXTS = [
  "model.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "generation_config.json",
];
/** One of these must be there. */
const PROCESSORS = ["preprocessor_config.json", "processor_config.json"];
const WHOLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const BLOCKS = ["model.gguf", "mmproj.gguf"];
/** What searches photos for known things; all of it or nothing. */
const RETRIEVER = ["retriever/config.json", "retriever/retrieval.json", "retriever/model.safetensors"];
/** Most shards of an index; the largest checkpoints have some hundreds. */
const MAX_SHARDS = 1024;

/** Files that are read by ranges. */
export const isWeights = (name: string): boolean => /\.(safetensors|gguf)$/.test(name);

/** All files of the model in the folder by name. Rejects with `missing` or `weights` (the index), naming the file. */
export async function collect(folder: Folder): Promise<Map<string, Blob>> {
  const missing = (what: string): never => {
    throw new NameLensError("missing", `${folder.name}: ${what}`);
  };
  const found = await folder.find([...NEEDED, ...TEXTS, ...PROCESSORS, WHOLE, INDEX, ...BLOCKS, ...RETRIEVER]);
  for (const name of NEEDED) if (!found.has(name)) missing(`${name} is missing, so this is not the folder of a model`);
  if (!PROCESSORS.some((name) => found.has(name))) missing(`${PROCESSORS.join(" (or ")}) is missing`);
  const texts = [...NEEDED, ...TEXTS, ...PROCESSORS].filter((name) => found.has(name));
  const weights = await weightNames(folder, found, missing);
  const retriever = found.has("retriever/config.json") ? RETRIEVER : [];
  for (const name of retriever) if (!found.has(name)) missing(`${name} is missing`);
  folder.plan?.([...texts, ...weights.texts, ...weights.names, ...retriever]);
  const files = new Map<string, Blob>();
  await Promise.all([...texts, ...weights.texts].map(async (name) => files.set(name, await folder.open(name))));
  // One after the other: each takes the whole connection, and a broken visit leaves whole files behind it.
  for (const name of [...weights.names, ...retriever]) files.set(name, await folder.open(name));
  return files;
}

async function weightNames(
  folder: Folder,
  found: ReadonlySet<string>,
  missing: (what: string) => never,
): Promise<{ names: readonly string[]; texts: readonly string[] }> {
  if (found.has(WHOLE)) return { names: [WHOLE], texts: [] };
  if (found.has(INDEX)) {
    const shards = shardNames(await (await folder.open(INDEX)).text(), folder.name);
    const there = await folder.find(shards);
    const gone = shards.filter((name) => !there.has(name));
    const others = gone.length > 1 ? ` and ${gone.length - 1} more` : "";
    if (gone[0] !== undefined) {
      missing(`${gone[0]}${others} is missing; the model is in ${shards.length} files and all must be in its folder`);
    }
    return { names: shards, texts: [INDEX] };
  }
  if (!found.has(BLOCKS[0] ?? "")) missing(`the weights are missing: neither ${WHOLE} nor ${INDEX} nor ${BLOCKS[0]} is there`);
  if (!found.has(BLOCKS[1] ?? "")) missing(`${BLOCKS[1]} is missing; it has the part of the model that sees`);
  return { names: BLOCKS, texts: [] };
}

/** The files that an index names, sorted. Throws code `weights`. */
export function shardNames(index: string, place: string): string[] {
  const fail = (problem: string): never => {
    throw new NameLensError("weights", `${place}: ${INDEX}: ${problem}`);
  };
  let map: unknown;
  try {
    map = (JSON.parse(index) as { weight_map?: unknown } | null)?.weight_map;
  } catch {
    return fail("is not JSON");
  }
  if (typeof map !== "object" || map === null) return fail('has no "weight_map"');
  const names = [...new Set(Object.values(map) as unknown[])];
  if (names.length === 0 || names.length > MAX_SHARDS) fail(`names ${names.length} files; 1 to ${MAX_SHARDS} are possible`);
  for (const name of names) {
    // Plain files beside the index: never another folder or server.
    const plain = typeof name === "string" && /^[\w-][\w.-]*\.safetensors$/.test(name);
    if (!plain) fail(`"${String(name)}" is not the name of a .safetensors file beside it`);
  }
  return (names as string[]).sort();
}

/** The files below the shallowest `config.json`, by their paths from there, and the name of that folder. */
export function rooted(files: Iterable<readonly [path: string, blob: Blob]>): { name: string; files: Map<string, Blob> } {
  const all = [...files].map(([path, blob]) => [path.replaceAll("\\", "/").replace(/^\/+/, ""), blob] as const);
  const depth = (path: string): number => path.split("/").length;
  const configs = all
    .map(([path]) => path)
    .filter((path) => /(^|\/)config\.json$/.test(path) && !/(^|\/)retriever\/config\.json$/.test(path))
    .sort((a, b) => depth(a) - depth(b));
  const [first, second] = configs;
  if (first !== undefined && second !== undefined && depth(first) === depth(second)) {
    throw new NameLensError("option", `the folder holds several models (${first} and ${second}); choose one of their folders`);
  }
  const root = (first ?? all[0]?.[0] ?? "").split("/").slice(0, -1);
  const prefix = first === undefined ? (root[0] === undefined ? "" : `${root[0]}/`) : root.map((part) => `${part}/`).join("");
  const inside = all
    .filter(([path]) => path.startsWith(prefix))
    .map(([path, blob]) => [path.slice(prefix.length), blob] as const)
    // What lies deeper is never asked for, and a folder may have very much of it.
    .filter(([path]) => /^(retriever\/)?[^/]+$/.test(path));
  return { name: prefix.split("/").at(-2) ?? "the chosen files", files: new Map(inside) };
}

/** Chosen files as a folder. */
export class ChosenFolder implements Folder {
  constructor(
    readonly name: string,
    readonly files: ReadonlyMap<string, Blob>,
  ) {}

  async find(names: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(names.filter((name) => this.files.has(name)));
  }

  async open(name: string): Promise<Blob> {
    const file = this.files.get(name);
    if (!file) throw new NameLensError("missing", `${this.name}: ${name} is missing`);
    return file;
  }
}
