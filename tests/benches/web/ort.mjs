// ONNX Runtime's WebAssembly on a decoder of the same shape with random weights (`onnx.mjs`), the cache handed back at each token.

import * as ort from "/peers/onnxruntime-web/dist/ort.wasm.min.mjs";
import { HEAD, KV_HEADS, LAYERS, VOCABULARY } from "./shape.mjs";

const NAMES = Array.from({ length: LAYERS }, (_, layer) => ["key", "value"].map((what) => `${layer}.${what}`)).flat();

/** See `page.mjs`. */
export async function open({ engine, threads }) {
  ort.env.wasm.wasmPaths = "/peers/onnxruntime-web/dist/";
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  const bytes = new Uint8Array(await (await fetch(`/onnx/${engine}.onnx`)).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
  const int32 = (value, shape) => new ort.Tensor("int32", Int32Array.of(value), shape);
  const step = async (ids, cache, length) => {
    const input_ids = new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
    const feeds = { input_ids, seqlens_k: int32(length - 1, [1]), total_sequence_length: int32(length, []) };
    for (const name of NAMES) feeds[`past.${name}`] = cache?.[`present.${name}`] ?? new ort.Tensor("float32", new Float32Array(0), [1, KV_HEADS, 0, HEAD]);
    const out = await session.run(feeds);
    for (const name of cache ? NAMES : []) cache[`present.${name}`].dispose();
    return out;
  };
  return {
    threads,
    version: ort.env.versions.web,
    async write({ read, tokens }, heard) {
      let out = await step(Array.from({ length: read }, (_, at) => (300 + 37 * at) % VOCABULARY), null, read);
      for (let written = 1; ; written += 1) {
        const next = likeliest(out.logits.data);
        heard();
        if (written === tokens) return { read, written };
        out = await step([next], out, read + written);
      }
    },
    close: () => session.release(),
  };
}

function likeliest(logits) {
  let best = 0;
  for (let at = 1; at < logits.length; at += 1) if (logits[at] > logits[best]) best = at;
  if (!Number.isFinite(logits[best])) throw new Error("no numbers came out");
  return best;
}
