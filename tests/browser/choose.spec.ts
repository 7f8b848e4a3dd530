// The download page's table of files and the engine's plan of them choose the same files of a repository.

import { readFile } from "node:fs/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, test } from "@playwright/test";
import { choose } from "../../web-demo/src/download/choose.js";

interface Step {
  readonly step: "find" | "read" | "take";
  readonly name: string;
  readonly names: readonly string[];
  readonly texts: readonly string[];
  readonly weights: readonly string[];
}
interface Plan {
  next(): Step;
  read(name: string, bytes: Uint8Array): void;
}
interface Tools {
  plan(listing: readonly string[], choice: { weights?: string; mmproj?: string; part?: string }): Plan;
}

const dist = (file: string): string => pathToFileURL(fileURLToPath(new URL(`../../wasm-pkg/npm/${file}`, import.meta.url))).href;
let tools: Tools;

test.beforeAll(async () => {
  // Node fetches no files; a page's server would.
  const fetched = globalThis.fetch;
  globalThis.fetch = async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return url.protocol === "file:" ? new Response(new Uint8Array(await readFile(url))) : fetched(input, init);
  };
  const engine = (await import(dist("dist/engine.js"))) as {
    loadEngine(wasm: Record<string, string>, device: "cpu", threads: 1, emit: () => void, signal: AbortSignal): Promise<{ tools: Tools }>;
  };
  const { FILES } = (await import(dist("dist/modules.js"))) as { FILES: Record<string, string> };
  const wasm = Object.fromEntries(Object.entries(FILES).map(([name, file]) => [name, dist(`wasm/${file}`)]));
  ({ tools } = await engine.loadEngine(wasm, "cpu", 1, () => undefined, new AbortController().signal));
});

const INDEX = "model.safetensors.index.json";

/** What the engine takes of a listing; an error's message where it takes nothing. `config` is what config.json says. */
function planned(listing: readonly string[], choice: { weights?: string; mmproj?: string } = {}, config = "smolvlm"): string[] | string {
  try {
    const plan = tools.plan(listing, choice);
    for (;;) {
      const step = plan.next();
      if (step.step === "take") return [...step.texts, ...step.weights].sort();
      if (step.step !== "read") throw new Error(`a full list leaves nothing to find: ${step.names.join()}`);
      if (step.name === "config.json") {
        plan.read(step.name, new TextEncoder().encode(JSON.stringify({ model_type: config })));
        continue;
      }
      const shards = listing.filter((path) => /^model-\d+-of-/.test(path));
      const index = { weight_map: Object.fromEntries(shards.map((file, i) => [`t${i}`, file])) };
      plan.read(step.name, new TextEncoder().encode(JSON.stringify(index)));
    }
  } catch (thrown) {
    return (thrown as Error).message ?? String(thrown);
  }
}

const SMOLVLM = [
  ".gitattributes", "README.md", "added_tokens.json", "chat_template.json", "config.json", "generation_config.json", "merges.txt",
  "model.safetensors", "preprocessor_config.json", "processor_config.json", "special_tokens_map.json", "tokenizer.json",
  "tokenizer_config.json", "vocab.json", "onnx/decoder_model_merged.onnx", "onnx/vision_encoder_fp16.onnx",
];
const SHARDED = [...SMOLVLM.filter((path) => path !== "model.safetensors"), INDEX, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const QWEN = ["config.json", "tokenizer.json", "chat_template.json", "preprocessor_config.json", "video_preprocessor_config.json", "LICENSE", INDEX, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const BARE = ["config.json", "tokenizer.json", "chat_template.jinja", "processor_config.json", "model.safetensors", "pytorch_model.bin", "model.fp16.safetensors"];

const LISTINGS: Record<string, readonly string[]> = {
  "one file, beside much else": SMOLVLM,
  "shards with their index": SHARDED,
  "Qwen's": QWEN,
  "of transformers 5": BARE,
  "one file and shards": [...SHARDED, "model.safetensors"],
  "with a retriever and adapters": [
    ...BARE, "retriever/config.json", "retriever/retrieval.json", "retriever/preprocessor_config.json", "retriever/model.safetensors",
    "retriever/model.gguf", "retriever/README.md", "adapters/a/adapter_config.json", "adapters/a/adapter_model.safetensors", "adapters/b/adapter_config.json",
  ],
  "with a retriever that knows words": [...BARE, "retriever/config.json", "retriever/retrieval.json", "retriever/words.txt", "retriever/model.gguf"],
  "with two encoders": [
    ...BARE, "retriever/config.json", "retriever/retrieval.json", "retriever/model.gguf", "retriever/dino/config.json", "retriever/dino/retrieval.json",
    "retriever/dino/preprocessor_config.json", "retriever/dino/model.safetensors", "retriever/dino/onnx/config.json",
  ],
  "with an encoder deeper down and no first one": [...BARE, "retriever/dino/config.json", "retriever/dino/retrieval.json", "retriever/dino/model.gguf"],
  "GGUF, one of each": ["M-Q8_0.gguf", "mmproj-M-f16.gguf", "README.md", "config.json"],
  "GGUF in parts": ["M-Q8_0-00001-of-00002.gguf", "M-Q8_0-00002-of-00002.gguf", "mmproj-M-f16.gguf"],
  "GGUF with a whole description": ["M-Q8_0.gguf", "mmproj-M.gguf", "config.json", "tokenizer.json", "preprocessor_config.json"],
  "safetensors before GGUF": [...BARE, "M-Q8_0.gguf", "mmproj-M-f16.gguf"],
};

for (const [what, listing] of Object.entries(LISTINGS)) {
  test(`the same files: ${what}`, () => {
    const chosen = choose(listing);
    if ("missing" in chosen) throw new Error(`${chosen.missing} is missing`);
    expect([...chosen.paths].sort()).toEqual(planned(listing));
  });
}

test("a photo encoder with nothing around it is taken once somebody has measured it", () => {
  const published = [".gitattributes", "README.md", "config.json", "model.safetensors", "preprocessor_config.json", "pytorch_model.bin"];
  const listing = [...published, "retrieval.json"];
  const chosen = choose(listing);
  if ("missing" in chosen) throw new Error(`${chosen.missing} is missing`);
  expect([...chosen.paths].sort()).toEqual(planned(listing, {}, "dinov2"));
  expect(planned(published, {}, "dinov2")).toMatch(/^retrieval\.json is missing: .*namelens eval photos/);
  expect(choose(published)).toHaveProperty("missing");
  expect(choose(listing.filter((path) => path !== "model.safetensors"))).toEqual({ missing: "model.safetensors" });
});

test("of several GGUF files the chosen one is taken with one projector, and the engine agrees", () => {
  const listing = ["M-Q4_K_M.gguf", "M-Q8_0.gguf", "M-BF16.gguf", "mmproj-M-Q8_0.gguf", "mmproj-M-BF16.gguf", "README.md"];
  expect(planned(listing)).toMatch(/choose one of/); // the engine leaves it to the visitor
  for (const wanted of [undefined, "M-Q4_K_M.gguf", "M-BF16.gguf"]) {
    const chosen = choose(listing, wanted);
    if ("missing" in chosen) throw new Error(`${chosen.missing} is missing`);
    expect(chosen.variants.map(({ name }) => name).sort()).toEqual(["M-BF16.gguf", "M-Q4_K_M.gguf", "M-Q8_0.gguf"]);
    expect(chosen.variant).toBe(wanted ?? "M-Q8_0.gguf");
    expect([...chosen.paths].sort()).toEqual(planned(listing, { weights: chosen.variant ?? "", mmproj: "mmproj-M-Q8_0.gguf" }));
    // What was downloaded then leaves the engine no choice to make.
    expect(planned(chosen.paths)).toEqual([...chosen.paths].sort());
  }
});

test("what the engine would refuse is not downloaded", () => {
  for (const lacking of ["config.json", "tokenizer.json", "processor_config.json", "model.safetensors"]) {
    const listing = BARE.filter((path) => path !== lacking);
    expect(choose(listing), lacking).toHaveProperty("missing");
    expect(planned(listing), lacking).toMatch(/missing/);
  }
  for (const lacking of ["retriever/retrieval.json", "retriever/model.safetensors", "retriever/dino/retrieval.json", "retriever/dino/model.safetensors"]) {
    const retriever = ["retriever/", "retriever/dino/"].flatMap((folder) => ["config.json", "retrieval.json", "model.safetensors"].map((name) => folder + name));
    const listing = [...BARE, ...retriever].filter((path) => path !== lacking);
    expect(choose(listing), lacking).toEqual({ missing: lacking });
    expect(planned(listing), lacking).toMatch(/missing/);
  }
  const cut = SHARDED.filter((path) => !path.startsWith("model-00002"));
  expect(choose(cut)).toHaveProperty("missing");
  expect(choose(["M-Q8_0.gguf"])).toHaveProperty("missing");
  expect(choose(["README.md"])).toEqual({ missing: "config.json" });
});
