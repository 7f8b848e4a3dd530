// The memory of the WebAssembly module in the course of captions: `node memory.mjs PACKAGE REPOSITORY SETTLED CAPTIONS`; a line each model.
//
// Every photo is a new one (a byte more at its end), so that whatever is kept for photos seen before has its chance to grow.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [home, repository, settled, captions] = process.argv.slice(2);
const album = join(repository, "web-demo/public/album");
const bytes = (path) => new Uint8Array(readFileSync(path));
const photos = (folder, kind) => readdirSync(folder).filter((name) => kind.test(name)).sort().map((name) => bytes(join(folder, name)));

/** Each model with what is named before, and what is captioned. */
const MODELS = [
  { model: "playroom", thing: join(album, "thing-0-0.png"), seen: photos(album, /^scene-.*png$/) },
  { model: "photos", thing: join(album, "photos/collie-sofa.jpg"), seen: photos(join(album, "photos"), /jpg$/) },
];

for (const { model, thing, seen } of MODELS) {
  // With a word behind it the module is another one, whose memory is its own.
  const glue = await import(`${pathToFileURL(join(home, "wasm/namelens_cpu.js"))}?${model}`);
  const { memory } = await glue.default({ module_or_path: readFileSync(join(home, "wasm/namelens_cpu_bg.wasm")) });
  const held = () => memory.buffer.byteLength;
  const line = { model, captions: +captions, instance: held() };
  const folder = join(home, "model", model);
  const { files } = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const loaded = new Map(files.map(({ name, path }) => [name, bytes(join(folder, path))]));
  const engine = await glue.NameLensEngine.create("cpu", loaded, () => undefined, new glue.CancelFlag(), "stored");
  line.loaded = held();
  await engine.addConcept({ name: "Miso", photos: [{ bytes: bytes(thing) }] }, 0);
  const start = performance.now();
  for (let at = 0; at < captions; at += 1) {
    const photo = Uint8Array.of(...seen[at % seen.length], at & 255, at >> 8);
    const flag = new glue.CancelFlag();
    const { text } = await engine.run({ kind: "caption" }, photo, () => undefined, flag);
    flag.free();
    if (!text) throw new Error(`${model}: caption ${at} is empty`);
    if (at === 0) line.first = held();
    if (at + 1 === +settled) line.settled = held();
  }
  console.log(JSON.stringify({ ...line, all: held(), secondsEach: (performance.now() - start) / 1e3 / captions }));
  engine.free();
}
