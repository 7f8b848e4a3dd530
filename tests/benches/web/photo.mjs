// In a page: a photo before a model of SmolVLM's shape, and the same tower in ONNX Runtime.

import { NameLens } from "/package/dist/index.js";
import * as ort from "/peers/onnxruntime-web/dist/ort.wasm.min.mjs";
import { TOWER } from "./vision_shape.mjs";

/** A photo of one tile that is nowhere the same: what is drawn depends on `seed`. */
async function photo(seed) {
  const canvas = new OffscreenCanvas(TOWER.image_size, TOWER.image_size);
  const context = canvas.getContext("2d");
  for (let at = 0; at < 200; at += 1) {
    context.fillStyle = `hsl(${(at * 47 + seed * 90) % 360} 70% ${20 + (at % 60)}%)`;
    context.fillRect((at * 131 + seed * 17) % 480, (at * 71) % 480, 20 + (at % 90), 20 + (at % 70));
  }
  return new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
}

/** A caption of so many tokens after another one that warms up. */
export async function namelens({ files, precision, tokens, threads }) {
  const start = performance.now();
  const model = new Map();
  for (const name of files) model.set(name, await (await fetch(`/model/${name}`)).blob());
  const lens = await NameLens.create({ model, device: "cpu", threads, storage: "memory", precision });
  if (lens.info.threads !== threads) throw new Error(`${lens.info.threads} threads, not ${threads}`);
  const load = performance.now() - start;
  const options = { splitting: false, retrieval: "off", sampling: { temperature: 0 } };
  await lens.caption(await photo(1), { ...options, maxTokens: 4 });
  const bytes = await photo(2);
  const begin = performance.now();
  let first = 0;
  const { timings, tokens: count } = await lens.caption(bytes, { ...options, maxTokens: tokens, onToken: () => (first ||= performance.now()) });
  const total = performance.now() - begin;
  const memory = await lens.memory();
  const again = performance.now();
  let second = 0;
  await lens.ask(bytes, "What colour is it?", { ...options, maxTokens: 2, onToken: () => (second ||= performance.now()) });
  await lens.dispose();
  return { load, total, firstMs: first - begin, questionMs: second - again, timings, tokens: count, memory };
}

/** One pass of the tower after another one that warms up. */
export async function tower({ threads }) {
  ort.env.wasm.wasmPaths = "/peers/onnxruntime-web/dist/";
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const bytes = new Uint8Array(await (await fetch("/onnx/tower.onnx")).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const side = TOWER.image_size;
  const pixels = Float32Array.from({ length: 3 * side * side }, (_, at) => Math.sin(at * 0.37));
  const pass = async () => {
    const start = performance.now();
    const { seen } = await session.run({ pixels: new ort.Tensor("float32", pixels, [1, 3, side, side]) });
    if (!seen.data.every(Number.isFinite)) throw new Error("no numbers came out");
    return performance.now() - start;
  };
  await pass();
  const vision = await pass();
  await session.release();
  return { vision, version: ort.env.versions.web };
}
