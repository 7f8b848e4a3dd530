// Folders: whatever holds the files, the engine's plan decides which of them are the model; and where an address points.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { NameLensError } from "../dist/errors.js";
import { ChosenFolder, collect } from "../dist/folder.js";
import { addressIn, listingOf, nameOf, RemoteFolder } from "../dist/remote.js";
import { addressed, modelSource } from "../dist/source.js";
import { MemoryVault } from "../dist/vault-memory.js";
import { tools } from "./engine.mjs";
import { startHub } from "./hub.mjs";

const TEXTS = ["config.json", "tokenizer.json", "processor_config.json"];
const INDEX = "model.safetensors.index.json";
const index = (...files) => JSON.stringify({ weight_map: Object.fromEntries(files.map((file, i) => [`t${i}`, file])) });
const HUB = ["SmolVLM-256M-Instruct-Q8_0.gguf", "mmproj-SmolVLM-256M-Instruct-f16.gguf"];

let hub;
before(async () => (hub = await startHub()));
after(() => hub.close());

const keeper = () => ({ vault: new MemoryVault(), signal: new AbortController().signal, onProgress: () => undefined, patienceMs: 5 });

/** Names of the files that a folder of `given` gives, chosen and at three addresses, which must all agree. */
async function names(given, { contents = {}, choice = {} } = {}) {
  const files = Object.fromEntries(given.map((name) => [name, contents[name] ?? name]));
  const chosen = new ChosenFolder("m", new Map(Object.entries(files).map(([name, text]) => [name, new Blob([text])])));
  Object.assign(hub, { files, asked: [] });
  const places = [() => chosen];
  for (const lists of [true, false]) {
    places.push(() => {
      hub.lists = lists;
      return new RemoteFolder(`${hub.origin}/org/m/resolve/main/`, keeper());
    });
  }
  places.push(() => new RemoteFolder(`${hub.origin}/plain/`, keeper()));
  const found = [];
  for (const place of places) {
    const blobs = await collect(place(), tools, choice);
    for (const [name, blob] of blobs) assert.equal(await blob.text(), files[name]);
    found.push([...blobs.keys()].sort());
  }
  for (const other of found) assert.deepEqual(other, found[0]);
  return found[0];
}
const folder = (given, contents = {}) => new ChosenFolder("mine", new Map(given.map((name) => [name, new Blob([contents[name] ?? name])])));
const rejects = (given, code, text, { contents, choice = {} } = {}) =>
  assert.rejects(collect(folder(given, contents), tools, choice), (error) => error instanceof NameLensError && error.code === code && error.message.includes(text));

test("one file, shards, GGUF alone or split: each form is taken whole, from a folder, a hub and a plain server alike", async () => {
  const extra = ["README.md", "pytorch_model.bin", "model.onnx", "generation_config.json", "chat_template.jinja"];
  const one = [...TEXTS, "model.safetensors"];
  assert.deepEqual(await names([...one, ...extra]), [...one, "generation_config.json", "chat_template.jinja"].sort());
  const shards = ["model-1.safetensors", "model-2.safetensors"];
  const sharded = [...TEXTS, INDEX, ...shards];
  assert.deepEqual(await names([...sharded, "model-3.safetensors"], { contents: { [INDEX]: index(...shards, shards[0]) } }), sharded.sort());
  const blocks = [...TEXTS, "model.gguf", "mmproj.gguf"];
  assert.deepEqual(await names(blocks), blocks.sort());
  assert.deepEqual(await names([...HUB, "README.md"], { choice: { weights: HUB[0] } }), HUB);
  const parts = [1, 2, 3].map((part) => `M-Q8_0-0000${part}-of-00003.gguf`);
  assert.deepEqual(await names([...parts, "mmproj-M-f16.gguf"], { choice: { weights: parts[0] } }), [...parts, "mmproj-M-f16.gguf"]);
});

test("a retriever comes with the file that says how it prepares photos", async () => {
  const one = [...TEXTS, "model.safetensors"];
  const retriever = ["config.json", "retrieval.json", "model.safetensors", "preprocessor_config.json"].map((name) => `retriever/${name}`);
  assert.deepEqual(await names([...one, ...retriever]), [...one, ...retriever].sort());
  assert.deepEqual(await names([...one, ...retriever.slice(0, 3)]), [...one, ...retriever.slice(0, 3)].sort());
});

test("a photo encoder as it is published is a retriever, once it was measured; further encoders are taken from where they can be listed", async () => {
  const contents = { "config.json": JSON.stringify({ model_type: "dinov2" }) };
  const alone = ["config.json", "model.safetensors", "preprocessor_config.json"];
  const measured = [...alone, "retrieval.json"];
  const places = [folder(measured, contents)];
  Object.assign(hub, { files: Object.fromEntries([...measured, "README.md"].map((name) => [name, contents[name] ?? name])), asked: [] });
  for (const lists of [true, false]) {
    hub.lists = lists;
    const files = await collect(new RemoteFolder(`${hub.origin}/org/m/resolve/main/`, keeper()), tools, {}, "retriever");
    assert.deepEqual([...files.keys()].sort(), measured.map((name) => `retriever/${name}`).sort());
    assert.equal(await files.get("retriever/retrieval.json").text(), "retrieval.json");
  }
  for (const place of places) assert.deepEqual([...(await collect(place, tools, {})).keys()].sort(), measured.map((name) => `retriever/${name}`).sort());
  await rejects(alone, "missing", "mine: retrieval.json is missing: how sure a similarity of this encoder makes is not known", { contents });
  await assert.rejects(collect(folder(measured, contents), tools, {}, "captioner"), { code: "missing", message: /writes no captions; give it as the model/ });

  const one = [...TEXTS, "model.safetensors"];
  const encoder = (name) => ["config.json", "retrieval.json", "model.safetensors"].map((file) => `retriever/${name}${file}`);
  const two = [...encoder(""), ...encoder("dino/")];
  assert.deepEqual([...(await collect(folder([...one, ...two]), tools, {})).keys()].sort(), [...one, ...two].sort());
  assert.deepEqual([...(await collect(folder([...one, ...two]), tools, {}, "retriever")).keys()].sort(), two.sort());
  await rejects([...one, ...two].filter((name) => name !== "retriever/dino/retrieval.json"), "missing", "retriever/dino/retrieval.json is missing");
});

test("what was fetched is there without a connection, under the names that it has in the model", async () => {
  const contents = { "config.json": JSON.stringify({ model_type: "dinov2" }), "model.safetensors": "w", "retrieval.json": "{}", "preprocessor_config.json": "{}" };
  Object.assign(hub, { files: contents, lists: false, asked: [] });
  const address = `${hub.origin}/plain/`;
  // Memory that outlives a visit stands in for a disk.
  const vault = Object.defineProperty(new MemoryVault(), "lasting", { value: true });
  const repository = new RemoteFolder(address, { ...keeper(), vault });
  const fetched = await collect(repository, tools, {}, "retriever");
  await repository.settle({}, "retriever");
  const later = new RemoteFolder(address, { ...keeper(), vault });
  const kept = await later.before({}, "retriever");
  assert.deepEqual([...kept.keys()].sort(), [...fetched.keys()].sort());
  assert.equal(await kept.get("retriever/model.safetensors").text(), "w");
  assert.equal(await later.before({}, "whole"), null);
});

test("adapters are taken from where they can be listed, and by name from where they cannot", async () => {
  const one = [...TEXTS, "model.safetensors"];
  const adapter = ["adapters/a/adapter_config.json", "adapters/a/adapter_model.safetensors"];
  assert.deepEqual(await names([...one, ...adapter], { choice: { adapters: ["a"] } }), [...one, ...adapter].sort());
  const all = await collect(folder([...one, ...adapter]), tools, {});
  assert.deepEqual([...all.keys()].sort(), [...one, ...adapter].sort());
});

test("a hub's list is read to its last page, and saves asking for files that are not there", async () => {
  Object.assign(hub, { files: Object.fromEntries([...HUB, "README.md", "sub/deep.gguf"].map((name) => [name, name])), lists: true, asked: [] });
  const files = await collect(new RemoteFolder(`${hub.origin}/org/m/resolve/main/`, keeper()), tools, {});
  assert.deepEqual([...files.keys()].sort(), HUB);
  assert.deepEqual(hub.asked.filter((line) => line.startsWith("HEAD")), HUB.map((name) => `HEAD /org/m/resolve/main/${name}`));
  assert.deepEqual(listingOf("https://hub.example/org/m/resolve/refs%2Fpr%2F1/sub/?token=1"), {
    url: "https://hub.example/api/models/org/m/tree/refs%2Fpr%2F1/sub?token=1&recursive=true",
    prefix: "sub/",
  });
  assert.equal(listingOf("https://hub.example/models/mine/"), null);
});

test("a folder that is not whole says which file is missing", async () => {
  await rejects(["photo.jpg"], "missing", "mine: config.json is missing: this is not the folder of a model");
  await rejects(["config.json", "model.safetensors"], "missing", "tokenizer.json is missing");
  await rejects(["config.json", "tokenizer.json", "model.safetensors"], "missing", "preprocessor_config.json is missing");
  await rejects(TEXTS, "missing", "neither model.safetensors nor");
  await rejects([...TEXTS, "model.gguf"], "missing", "mmproj");
  await rejects([...TEXTS, "model.safetensors", "retriever/config.json"], "missing", "retriever/retrieval.json");
  const contents = { [INDEX]: index("a.safetensors", "b.safetensors", "c.safetensors") };
  await rejects([...TEXTS, INDEX, "a.safetensors"], "missing", "b.safetensors is missing: the model is in 3 files and all must be in its folder (and 1 more)", { contents });
  await rejects([...TEXTS, INDEX], "weights", "mine: ", { contents: { [INDEX]: index("../a.safetensors") } });
});

test("more than one projector is a choice, and the error lists them", async () => {
  const two = [...HUB, "mmproj-SmolVLM-256M-Instruct-Q8_0.gguf"];
  await rejects(two, "option", `mine: option \`mmproj\`: choose one of ${two[2]}, ${two[1]}`);
  assert.deepEqual(await names(two, { choice: { weights: HUB[0], mmproj: HUB[1] } }), HUB);
});

test("paths count from the model's folder, wherever it is among them", () => {
  const root = (...paths) => {
    const { name, files } = ChosenFolder.among(new Map(paths.map((path) => [path, new Blob([path])])), "the chosen files", tools);
    return [name, [...files.keys()].sort()];
  };
  assert.deepEqual(root("m/config.json", "m/a.safetensors", "m/retriever/config.json", "m/goldens/x.json"), ["m", ["a.safetensors", "config.json", "retriever/config.json"]]);
  assert.deepEqual(root("all/m/Smol-Q8_0.gguf", "all/m/mmproj-Smol.gguf", "all/readme"), ["m", ["Smol-Q8_0.gguf", "mmproj-Smol.gguf"]]);
  assert.deepEqual(root("config.json", "x"), ["the chosen files", ["config.json", "x"]]);
  assert.deepEqual(root("a\\config.json", "a\\x"), ["a", ["config.json", "x"]]);
  // A retriever alone, in whatever order a picker gives its files.
  assert.deepEqual(root("retriever/config.json", "model.json"), ["the chosen files", ["model.json", "retriever/config.json"]]);
  assert.throws(() => root("all/a/config.json", "all/b/config.json"), { code: "option" });
});

test("an address points at a manifest or at a folder", () => {
  const at = (model) => addressed(model, "https://here.example/page/index.html");
  assert.deepEqual(at("m/"), { folder: "https://here.example/page/m/" });
  assert.deepEqual(at("m"), { folder: "https://here.example/page/m/" });
  assert.deepEqual(at("/m/manifest.json?v=2"), { manifest: "https://here.example/m/manifest.json?v=2" });
  assert.deepEqual(at("https://hub.example/org/m/resolve/main/config.json#x"), { folder: "https://hub.example/org/m/resolve/main/" });
  assert.deepEqual(at(new URL("https://hub.example/m/?token=1")), { folder: "https://hub.example/m/?token=1" });
  assert.deepEqual(at(`https://hub.example/org/m/resolve/main/${HUB[0]}?download=true`), { folder: "https://hub.example/org/m/resolve/main/?download=true", weights: HUB[0] });
  assert.deepEqual(at("/models/my%20model.gguf"), { folder: "https://here.example/models/", weights: "my model.gguf" });
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
  const names = async (model) => {
    const { name, chosen } = await modelSource(model);
    const folder = ChosenFolder.among(chosen, name, tools);
    return [folder.name, [...folder.files.keys()].sort()];
  };
  const paths = ["config.json", "retriever/retrieval.json", "retriever/dino/config.json", "adapters/a/adapter_config.json"];
  const expected = ["m", [...paths].sort()];
  const retriever = directory("retriever", handle("retrieval.json"), directory("dino", handle("config.json")));
  const adapters = directory("adapters", directory("a", handle("adapter_config.json"), directory("deep", handle("x"))));
  const hidden = directory(".git", handle("config.json"));
  assert.deepEqual(await names(directory("m", handle("config.json"), retriever, adapters, hidden, directory("goldens", handle("x")))), expected);
  assert.deepEqual(await names(paths.map((path) => file(path.split("/").at(-1), `m/${path}`))), expected);
  assert.deepEqual(await names(new Map(paths.map((path) => [`m/${path}`, new Blob()]))), expected);
  assert.deepEqual(await names([file("config.json")]), ["the chosen files", ["config.json"]]);
  await assert.rejects(modelSource([]), { code: "missing" });
  await assert.rejects(modelSource({}), { code: "option" });
  await assert.rejects(modelSource([{ name: "config.json" }]), { code: "option" });
  const closed = { ...directory("m"), entries: async function* () { throw new DOMException("denied", "NotAllowedError"); } };
  await assert.rejects(modelSource(closed), { code: "file" });
});
