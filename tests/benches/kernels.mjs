// Times kernels as WebAssembly and prints a line of JSON for each: `node kernels.mjs MODULE SECONDS KIND:ROWS:COLS:TOKENS ...`.
//
// In the Chromium that `NAMELENS_CHROMIUM` names, where there is one; in Node itself otherwise, whose compiler is often years older.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const [file, seconds, ...works] = process.argv.slice(2);
const bytes = readFileSync(file);

/** Runs in Node or in the page, so it takes all it needs. */
async function measure({ module, seconds, works }) {
  // In the order of `engine/cpu-kernels/examples/bench_wasm.rs`.
  const KINDS = ["a4", "a8", "model", "layers", "rowwise", "round", "copy", "fma", "read", "nearest", "a6"];
  // A page's clock has steps of 5 us at best.
  const SLICE = 2e-3;
  const wasm = typeof module === "string" ? await (await fetch(module)).arrayBuffer() : module;
  const { instance } = await WebAssembly.instantiate(wasm);
  const { prepare, run, parts, worst, bytes, flops } = instance.exports;
  const once = (times) => {
    const start = performance.now();
    run(times);
    return (performance.now() - start) / 1e3;
  };

  const lines = [{ gate: "error", worst: worst() }];
  for (const work of works) {
    const [kind, rows, cols, tokens] = work.split(":");
    if (!prepare(KINDS.indexOf(kind), +rows, +cols, +tokens)) throw new Error(`no work is called \`${kind}\``);
    // A work of many parts is run as a whole, each part after the others, so that its numbers come out of memory.
    const whole = parts();
    once(whole);
    let times = whole;
    while (once(times) < SLICE && times < 1 << 20) times *= 2;
    // The least time: what else the machine does only ever adds.
    let best = Infinity;
    const start = performance.now();
    let slices = 0;
    for (; performance.now() - start < seconds * 1e3 || slices < 5; slices += 1) best = Math.min(best, once(times));
    lines.push({ work, level: "simd128", seconds: (best * whole) / times, slices, bytes: bytes(), flops: flops() });
  }
  return lines;
}

/** The same in a page that is isolated, because others get a coarser clock. */
async function inChromium(executablePath) {
  const { chromium } = await import("@playwright/test");
  const headers = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };
  const server = createServer((request, response) => {
    response.writeHead(200, { ...headers, "content-type": request.url === "/" ? "text/html" : "application/wasm" });
    response.end(request.url === "/" ? "<!doctype html>" : bytes);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    const lines = await page.evaluate(measure, { module: "/module.wasm", seconds: +seconds, works });
    return [{ ...lines[0], engine: `Chromium ${browser.version()}` }, ...lines.slice(1)];
  } finally {
    await browser.close();
    server.close();
  }
}

const chromium = process.env.NAMELENS_CHROMIUM;
const lines = chromium
  ? await inChromium(chromium)
  : await measure({ module: bytes, seconds: +seconds, works }).then(([gate, ...rest]) => [
      { ...gate, engine: `Node.js ${process.version} (V8 ${process.versions.v8})` },
      ...rest,
    ]);
for (const line of lines) console.log(JSON.stringify(line));
