// Times kernels as WebAssembly and prints a line of JSON for each: `node kernels.mjs MODULE SECONDS KIND:ROWS:COLS:TOKENS ...`.

import { readFileSync } from "node:fs";

// In the order of `engine/cpu-kernels/examples/bench_wasm.rs`.
const KINDS = ["a4", "a8", "model", "layers", "rowwise", "round", "copy", "fma", "read", "nearest"];

const [file, seconds, ...works] = process.argv.slice(2);
const { instance } = await WebAssembly.instantiate(readFileSync(file));
const { prepare, run, parts, worst, bytes, flops } = instance.exports;

const print = (value) => console.log(JSON.stringify(value));
const once = (times) => {
  const start = performance.now();
  run(times);
  return (performance.now() - start) / 1e3;
};

print({ gate: "error", worst: worst() });
for (const work of works) {
  const [kind, rows, cols, tokens] = work.split(":");
  if (!prepare(KINDS.indexOf(kind), +rows, +cols, +tokens)) throw new Error(`no work is called \`${kind}\``);
  const count = parts();
  once(count);
  let times = 1;
  while (count === 1 && once(times) < 5e-4 && times < 1 << 20) times *= 2;
  // Of each part the least time: what else the machine does only ever adds.
  const best = new Array(count).fill(Infinity);
  const start = performance.now();
  let slices = 0;
  for (; performance.now() - start < seconds * 1e3 || slices < 5; slices += 1) {
    for (let part = 0; part < count; part += 1) best[part] = Math.min(best[part], once(times) / times);
  }
  const total = best.reduce((sum, part) => sum + part, 0);
  print({ work, level: "simd128", seconds: total, slices, bytes: bytes(), flops: flops() });
}
