// How long recognition takes in one WebAssembly thread: node bench/photos.mjs PHOTO [PHOTO...]
// With ONNX=file.onnx (the same network, see bench/README.md) and onnxruntime-web installed, its time of one pass of 448 x 448
// stands beside it, in alternating rounds.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as glue from "../wasm/namelens_cpu.js";

const here = dirname(fileURLToPath(import.meta.url));
const models = join(here, "../../../models/photos");
const FILES = ["model.json", "retriever/config.json", "retriever/retrieval.json", "retriever/words.txt", "retriever/model.gguf"];
const ROUNDS = 9;
const [reference, ...photos] = process.argv.slice(2);
if (!reference) throw new Error("usage: node bench/photos.mjs REFERENCE [PHOTO...]");

await glue.default({ module_or_path: readFileSync(join(here, "../wasm/namelens_cpu_bg.wasm")) });
const files = new Map(FILES.map((name) => [name, new Uint8Array(readFileSync(join(models, name)))]));
const timed = async (work) => {
  const start = performance.now();
  const value = await work();
  return [performance.now() - start, value];
};
const [load, engine] = await timed(() => glue.NameLensEngine.create("cpu", files, () => undefined, new glue.CancelFlag(), "stored"));
console.log(`load            ${load.toFixed(0)} ms`);
const bytes = (path) => new Uint8Array(readFileSync(path));
const [enrol] = await timed(() => engine.addConcept({ name: "It", photos: [{ bytes: bytes(reference) }] }, 0));
console.log(`enrol one photo ${enrol.toFixed(0)} ms`);

const ort = process.env.ONNX ? await session(process.env.ONNX) : null;
const own = [];
const other = [];
for (let round = 0; round < ROUNDS; round++) {
  for (const photo of photos.length ? photos : [reference]) {
    // Another byte at the end of the file is another photo: nothing is known of it.
    const fresh = new Uint8Array([...bytes(photo), round]);
    const result = await engine.run({ kind: "caption" }, fresh, () => undefined, new glue.CancelFlag());
    own.push(result.timings.retrieveMs);
  }
  if (ort) other.push((await timed(ort))[0]);
}
tell("recognise, after decoding", own);
if (ort) tell("onnxruntime-web, the network alone", other);

function tell(what, times) {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(0);
  console.log(`${what}: median ${at(0.5)} ms, from ${at(0)} to ${at(1)}, ${times.length} times`);
}

async function session(path) {
  const { default: ort } = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(readFileSync(path), { executionProviders: ["wasm"] });
  const [name] = session.inputNames;
  const input = new ort.Tensor("float32", new Float32Array(3 * 448 * 448).fill(0.5), [1, 3, 448, 448]);
  return () => session.run({ [name]: input });
}
