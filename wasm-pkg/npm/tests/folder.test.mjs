// Folders: what makes up a model, which file is missing, where an address points.

import assert from "node:assert/strict";
import { test } from "node:test";
import { NameLensError } from "../dist/errors.js";
import { ChosenFolder, collect, rooted, shardNames } from "../dist/folder.js";
import { addressIn, nameOf } from "../dist/remote.js";
import { addressed, modelSource } from "../dist/source.js";

const TEXTS = ["config.json", "tokenizer.json", "processor_config.json"];
const folder = (names, contents = {}) =>
  new ChosenFolder("mine", new Map(names.map((name) => [name, new Blob([contents[name] ?? name])])));
const index = (...files) => JSON.stringify({ weight_map: Object.fromEntries(files.map((file, i) => [`t${i}`, file])) });
const INDEX = "model.safetensors.index.json";
const names = async (given, contents) => [...(await collect(folder(given, contents))).keys()].sort();
const rejects = (given, code, text, contents) =>
  assert.rejects(collect(folder(given, contents)), (error) => error instanceof NameLensError && error.code === code && error.message.includes(text));

test("one file, shards or GGUF: each form is taken whole, and nothing else", async () => {
  const extra = ["README.md", "pytorch_model.bin", "model.onnx", "generation_config.json", "chat_template.jinja"];
  const one = [...TEXTS, "model.safetensors"];
  assert.deepEqual(await names([...one, ...extra]), [...one, "generation_config.json", "chat_template.jinja"].sort());
  const shards = ["model-1.safetensors", "model-2.safetensors"];
  const sharded = [...TEXTS, INDEX, ...shards];
  assert.deepEqual(await names([...sharded, "model-3.safetensors"], { [INDEX]: index(...shards, shards[0]) }), sharded.sort());
  const blocks = [...TEXTS, "model.gguf", "mmproj.gguf"];
  assert.deepEqual(await names(blocks), blocks.sort());
  const retriever = ["config.json", "retrieval.json", "model.safetensors"].map((name) => `retriever/${name}`);
  assert.deepEqual(await names([...one, ...retriever]), [...one, ...retriever].sort());
});

test("a folder that is not whole says which file is missing", async () => {
  await rejects(["photo.jpg"], "missing", "config.json is missing, so this is not the folder of a model");
  await rejects(["config.json"], "missing", "tokenizer.json is missing");
  await rejects(["config.json", "tokenizer.json"], "missing", "preprocessor_config.json (or processor_config.json)");
  await rejects(TEXTS, "missing", "neither model.safetensors nor");
  await rejects([...TEXTS, "model.gguf"], "missing", "mmproj.gguf");
  await rejects([...TEXTS, "model.safetensors", "retriever/config.json"], "missing", "retriever/retrieval.json");
  const shards = { [INDEX]: index("a.safetensors", "b.safetensors", "c.safetensors") };
  await rejects([...TEXTS, INDEX, "a.safetensors"], "missing", "b.safetensors and 1 more is missing; the model is in 3 files", shards);
});

test("an index may only name plain files beside it", () => {
  assert.deepEqual(shardNames(index("b.safetensors", "a.safetensors", "b.safetensors"), "x"), ["a.safetensors", "b.safetensors"]);
  const bad = ["../a.safetensors", "/a.safetensors", "https://elsewhere.example/a.safetensors", "a\\b.safetensors", "a.bin", ".a.safetensors", ""];
  const texts = ["", "null", "[]", "{}", '{"weight_map":{}}', '{"weight_map":{"t":7}}', ...bad.map((name) => index(name))];
  texts.push(index(...Array.from({ length: 1025 }, (_, i) => `${i}.safetensors`)));
  for (const text of texts) {
    assert.throws(() => shardNames(text, "x"), (error) => error.code === "weights" && error.message.startsWith("x: "), text.slice(0, 60));
  }
});

test("paths count from the folder with the shallowest config.json", () => {
  const root = (...paths) => {
    const { name, files } = rooted(paths.map((path) => [path, new Blob([path])]));
    return [name, [...files.keys()].sort()];
  };
  assert.deepEqual(root("m/config.json", "m/a.safetensors", "m/retriever/config.json", "m/goldens/x.json"), ["m", ["a.safetensors", "config.json", "retriever/config.json"]]);
  assert.deepEqual(root("/all/m/config.json", "/all/m/x", "/all/readme"), ["m", ["config.json", "x"]]);
  assert.deepEqual(root("config.json", "x"), ["the chosen files", ["config.json", "x"]]);
  assert.deepEqual(root("a\\config.json", "a\\x"), ["a", ["config.json", "x"]]);
  assert.deepEqual(root("photos/a.jpg", "photos/sub/b.jpg"), ["photos", ["a.jpg"]]);
  assert.throws(() => root("all/a/config.json", "all/b/config.json"), { code: "option" });
});

test("an address points at a manifest or at a folder", () => {
  const at = (model) => addressed(model, "https://here.example/page/index.html");
  assert.deepEqual(at("m/"), { folder: "https://here.example/page/m/" });
  assert.deepEqual(at("m"), { folder: "https://here.example/page/m/" });
  assert.deepEqual(at("/m/manifest.json?v=2"), { manifest: "https://here.example/m/manifest.json?v=2" });
  assert.deepEqual(at("https://hub.example/org/m/resolve/main/config.json#x"), { folder: "https://hub.example/org/m/resolve/main/" });
  assert.deepEqual(at(new URL("https://hub.example/m/?token=1")), { folder: "https://hub.example/m/?token=1" });
  assert.throws(() => at("https://"), { code: "option" });
  assert.equal(addressIn("https://hub.example/m/?token=1", "a.json"), "https://hub.example/m/a.json?token=1");
  assert.equal(nameOf("https://hub.example/org/m/resolve/main/"), "org/m");
  assert.equal(nameOf("https://hub.example/models/my%20model/"), "my model");
  assert.equal(nameOf("https://hub.example/"), "hub.example");
});

test("a picked folder, a file list and a map are the same model", async () => {
  const file = (name, path = "") => Object.defineProperty(new File([name], name), "webkitRelativePath", { value: path });
  const handle = (name) => ({ kind: "file", name, getFile: async () => file(name) });
  const directory = (name, ...inside) => ({
    kind: "directory",
    name,
    async *entries() {
      for (const entry of inside) yield [entry.name, entry];
    },
  });
  const retriever = directory("retriever", handle("retrieval.json"));
  const names = async (model) => {
    const { name, chosen } = await modelSource(model);
    return [name, [...chosen.keys()].sort()];
  };
  const expected = ["m", ["config.json", "retriever/retrieval.json"]];
  assert.deepEqual(await names(directory("m", handle("config.json"), retriever, directory("goldens", handle("x")))), expected);
  assert.deepEqual(await names([file("config.json", "m/config.json"), file("retrieval.json", "m/retriever/retrieval.json")]), expected);
  assert.deepEqual(await names(new Map(["m/config.json", "m/retriever/retrieval.json"].map((path) => [path, new Blob()]))), expected);
  assert.deepEqual(await names([file("config.json")]), ["the chosen files", ["config.json"]]);
  await assert.rejects(modelSource([]), { code: "missing" });
  await assert.rejects(modelSource({}), { code: "option" });
  await assert.rejects(modelSource([{ name: "config.json" }]), { code: "option" });
  const closed = { ...directory("m"), entries: async function* () { throw new DOMException("denied", "NotAllowedError"); } };
  await assert.rejects(modelSource(closed), { code: "file" });
});
