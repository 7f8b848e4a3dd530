// What can run and what a model would take, without fetching any weights.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { availability } from "../dist/availability.js";
import { wasm } from "./engine.mjs";
import { startHub } from "./hub.mjs";

let hub;
before(async () => (hub = await startHub()));
after(() => hub.close());

const look = (model, choice = {}, device = "auto") =>
  availability({ model, choice, wasm, device, threads: 1 }, { signal: new AbortController().signal, emit: () => undefined });
const TEXTS = { "config.json": "{}", "tokenizer.json": "{}", "preprocessor_config.json": "{}" };

test("the size of a model on a server is known before any of it is fetched", async () => {
  Object.assign(hub, { files: { ...TEXTS, "model.safetensors": "x".repeat(5000), "README.md": "not part of it" }, lists: false, asked: [] });
  const { device, fallback, model } = await look({ folder: `${hub.origin}/plain/` });
  assert.equal(device, "cpu");
  assert.match(fallback, /WebGPU/);
  assert.deepEqual([model.name, model.bytes, model.keptBytes, model.kept], ["plain", 5006, 0, false]);
  assert.deepEqual(model.files.at(-1), { name: "model.safetensors", bytes: 5000, kept: false });
  assert.deepEqual(hub.asked.filter((line) => line.startsWith("GET")), [], "nothing is fetched");
});

test("the sizes of all shards count, for which the index alone is fetched", async () => {
  const index = JSON.stringify({ weight_map: { a: "a.safetensors", b: "b.safetensors" } });
  const files = { ...TEXTS, "model.safetensors.index.json": index, "a.safetensors": "x".repeat(100), "b.safetensors": "x".repeat(23) };
  Object.assign(hub, { files, lists: true, asked: [] });
  const { model } = await look({ folder: `${hub.origin}/org/m/resolve/main/` });
  assert.deepEqual([model.name, model.bytes], ["org/m", 6 + index.length + 123]);
  assert.deepEqual(hub.asked.filter((line) => /GET.*resolve/.test(line)), ["GET /org/m/resolve/main/model.safetensors.index.json"]);
});

test("a bundle's manifest tells its size, and chosen files are here already", async () => {
  const sha256 = "0".repeat(64);
  const entries = Object.entries({ ...TEXTS, "model.safetensors": "x".repeat(70) }).map(([name, text]) => ({ name, path: name, bytes: text.length, sha256 }));
  const manifest = JSON.stringify({ name: "mine", version: "1", files: [...entries, { name: "notes.txt", path: "notes.txt", bytes: 9, sha256 }] });
  Object.assign(hub, { files: { "manifest.json": manifest }, asked: [] });
  const { model } = await look({ folder: `${hub.origin}/plain/` });
  assert.deepEqual([model.name, model.bytes, model.kept], ["mine", 76, false]);
  const chosen = new Map(Object.entries({ ...TEXTS, "model.safetensors": "x".repeat(70) }).map(([name, text]) => [`m/${name}`, new Blob([text])]));
  const here = await look({ name: "files", chosen });
  assert.deepEqual([here.model.name, here.model.bytes, here.model.keptBytes, here.model.kept], ["m", 76, 76, true]);
});

test("whether a model would write captions is known before it is loaded", async () => {
  const chosen = (...names) => ({ name: "m", chosen: new Map(names.map((name) => [name, new Blob([name.endsWith("config.json") ? '{"model_type": "dinov2"}' : name])])) });
  const captions = async (...names) => (await look(chosen(...names))).model.captions;
  const retriever = ["config.json", "retrieval.json", "model.safetensors"];
  const inside = retriever.map((name) => `retriever/${name}`);
  assert.equal(await captions(...retriever), false);
  assert.equal(await captions(...inside), false);
  assert.equal(await captions(...Object.keys(TEXTS), "model.safetensors", ...inside), true);
  assert.equal(await captions("S-f16.gguf", "mmproj-S-f16.gguf"), true);
});

test("what loading would refuse is refused here already", async () => {
  Object.assign(hub, { files: { "config.json": "{}" }, lists: false });
  await assert.rejects(look({ folder: `${hub.origin}/plain/` }), { code: "missing" });
  const files = { "S-f16.gguf": "x", "mmproj-S-f16.gguf": "xx", "mmproj-S-Q8_0.gguf": "xxx" };
  Object.assign(hub, { files, lists: true });
  const folder = `${hub.origin}/org/m/resolve/main/`;
  await assert.rejects(look({ folder }), { code: "option", message: /mmproj-S-Q8_0\.gguf, mmproj-S-f16\.gguf/ });
  const { model } = await look({ folder, weights: "S-f16.gguf" }, { mmproj: "mmproj-S-Q8_0.gguf" });
  assert.equal(model.bytes, 4);
  await assert.rejects(look({ folder }, { mmproj: "mmproj-S-Q8_0.gguf" }, "webgpu"), { code: "no-adapter" });
});
