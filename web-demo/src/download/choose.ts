// Which files of a repository are a model: one small table, applied to the hub's list of its files.
//
// The engine has a rule of its own (engine/src/personalize/file_plan.rs), which asks for files one by one and reads what
// they say. It is compiled into the engine, and this page must not load the engine; and a page that tells the whole size
// before it fetches anything can only go by names. tests/browser/choose.spec.ts holds the two to the same choice.

/** Small files that describe a model; of each, whatever is there is taken. */
const TEXTS = [
  "model.json",
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "chat_template.json",
  "processor_config.json",
  "preprocessor_config.json",
];
/** Without these, tensors are nothing that can be loaded; GGUF files describe themselves. */
const NEEDED = ["config.json", "tokenizer.json"];
const PROCESSORS = ["preprocessor_config.json", "processor_config.json"];
const WHOLE = "model.safetensors";
const INDEX = "model.safetensors.index.json";
const SHARD = /^model-\d{5}-of-(\d{5})\.safetensors$/;
const GGUF_PART = /^(.*)-\d{5}-of-(\d{5})\.gguf$/;
/** What NameLens adds to a model: encoders that search photos, the first in `retriever/`, and adapters. */
const FIRST = "retriever/";
const FURTHER = /^(retriever\/[^/]+\/)config\.json$/;
const MEASURED = "retrieval.json";
const ENCODER_WEIGHTS = [WHOLE, "model.gguf"];
const ADAPTER = /^adapters\/[^/.][^/]*\/adapter_(config\.json|model\.safetensors)$/;

/** A GGUF file in all its parts, by the name of the first. */
export interface Variant {
  readonly name: string;
  readonly parts: readonly string[];
}

/** Files, or what stands in their way. */
export type Chosen =
  | { readonly paths: readonly string[]; readonly variants: readonly Variant[]; readonly variant: string | null }
  | { readonly missing: string };

/** The model among the paths of a repository; `wanted` is the GGUF file to take where there are several. */
export function choose(listing: readonly string[], wanted?: string): Chosen {
  const there = new Set(listing);
  // A photo encoder with nothing around it: somebody measured it, and it has no words.
  if (there.has("config.json") && there.has(MEASURED) && !there.has("tokenizer.json") && !there.has(`${FIRST}config.json`) && !wanted) {
    const alone = encoder("", there);
    return "missing" in alone ? alone : { ...alone, variants: [], variant: null };
  }
  const encoders = encodersOf(listing, there).map((folder) => encoder(folder, there));
  const lacking = encoders.find((one) => "missing" in one);
  if (lacking) return lacking;
  const beside = [...encoders.flatMap((one) => ("paths" in one ? one.paths : [])), ...adaptersOf(listing, there)];
  if (there.has("config.json") && !wanted) {
    const weights = tensors(listing, there);
    if (weights) {
      const needed = NEEDED.find((name) => !there.has(name)) ?? (PROCESSORS.some((name) => there.has(name)) ? null : PROCESSORS[0]);
      if (needed) return { missing: needed };
      return { paths: [...TEXTS.filter((name) => there.has(name)), ...weights, ...beside], variants: [], variant: null };
    }
  }
  return gguf(listing, there, beside, wanted);
}

function tensors(listing: readonly string[], there: ReadonlySet<string>): string[] | null {
  if (there.has(WHOLE)) return [WHOLE];
  const shards = listing.filter((path) => SHARD.test(path)).sort();
  const count = Number(SHARD.exec(shards[0] ?? "")?.[1]);
  return there.has(INDEX) && shards.length > 0 && shards.length === count ? [INDEX, ...shards] : null;
}

function gguf(listing: readonly string[], there: ReadonlySet<string>, beside: readonly string[], wanted?: string): Chosen {
  const all = variantsOf(listing);
  const projectors = all.filter(({ name }) => isProjector(name));
  const texts = all.filter(({ name }) => !isProjector(name));
  if (texts.length === 0) return { missing: there.has("config.json") ? WHOLE : "config.json" };
  const projector = preferred(projectors, PROJECTOR_TYPES);
  if (!projector) return { missing: "mmproj-….gguf" };
  const text = texts.find(({ name }) => name === wanted) ?? preferred(texts, TEXT_TYPES);
  if (!text) return { missing: "a .gguf file" };
  const described = [...NEEDED, PROCESSORS.find((name) => there.has(name)) ?? ""].every((name) => there.has(name));
  // Half a description beside GGUF files would stand in their way.
  const useful = TEXTS.filter((name) => there.has(name) && (described || (name !== "config.json" && !PROCESSORS.includes(name))));
  return { paths: [...useful, ...text.parts, ...projector.parts, ...beside], variants: texts, variant: text.name };
}

/** Quantisations in the order of what is worth its bytes; the first that is there is offered first. */
const TEXT_TYPES = [/q8_0/i, /q6_k/i, /q5_k_m/i, /q4_k_m/i];
const PROJECTOR_TYPES = [/q8_0/i, /(?<!b)f16/i];
const isProjector = (name: string): boolean => name.toLowerCase().includes("mmproj");

function preferred(variants: readonly Variant[], types: readonly RegExp[]): Variant | undefined {
  for (const type of types) {
    const found = variants.find(({ name }) => type.test(name));
    if (found) return found;
  }
  return variants[0];
}

function variantsOf(listing: readonly string[]): Variant[] {
  const files = listing.filter((path) => path.endsWith(".gguf") && !path.includes("/")).sort();
  const groups = new Map<string, string[]>();
  for (const path of files) {
    const stem = GGUF_PART.exec(path)?.[1] ?? path;
    groups.set(stem, [...(groups.get(stem) ?? []), path]);
  }
  const whole = [...groups.values()].filter((parts) => {
    const count = GGUF_PART.exec(parts[0] ?? "")?.[2];
    return count === undefined || parts.length === Number(count);
  });
  return whole.map((parts) => ({ name: parts[0] ?? "", parts }));
}

/** The folders of the encoders of a model's retriever; without the first there is none. */
function encodersOf(listing: readonly string[], there: ReadonlySet<string>): string[] {
  if (!there.has(`${FIRST}config.json`)) return [];
  return [FIRST, ...listing.flatMap((path) => FURTHER.exec(path)?.[1] ?? [])];
}

/** The files of the encoder in a folder. */
function encoder(folder: string, there: ReadonlySet<string>): { readonly paths: readonly string[] } | { readonly missing: string } {
  const weights = ENCODER_WEIGHTS.find((name) => there.has(folder + name));
  if (!there.has(folder + MEASURED)) return { missing: folder + MEASURED };
  if (!weights) return { missing: folder + WHOLE };
  const texts = ["config.json", MEASURED, ...PROCESSORS, "words.txt"].filter((name) => there.has(folder + name));
  return { paths: [...texts, weights].map((name) => folder + name) };
}

function adaptersOf(listing: readonly string[], there: ReadonlySet<string>): string[] {
  return listing.filter((path) => {
    const folder = path.slice(0, path.lastIndexOf("/"));
    return ADAPTER.test(path) && there.has(`${folder}/adapter_config.json`) && there.has(`${folder}/adapter_model.safetensors`);
  });
}
