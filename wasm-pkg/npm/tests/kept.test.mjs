// What is kept of models between visits: updates beside what they replace, what goes when they have arrived, what runs when they have not.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, beforeEach, test } from "node:test";
import { availability } from "../dist/availability.js";
import { loadOne } from "../dist/model.js";
import { openVault } from "../dist/vault-open.js";
import { newDisk } from "./disk.mjs";
import { tools, wasm } from "./engine.mjs";
import { startHub } from "./hub.mjs";

let hub;
let disk;
before(async () => (hub = await startHub()));
after(() => hub.close());
beforeEach(() => {
  disk = newDisk();
  Object.assign(hub, { files: {}, lists: false, asked: [], breaks: () => false, etag: (body) => `"${body.length}"` });
});

const TEXTS = { "config.json": "{}", "tokenizer.json": "{}", "preprocessor_config.json": "{}" };
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const digests = (files) => [...new Set(Object.values(files).map(sha256))].sort();
/** The files of a bundle, with its manifest. */
const bundle = (files, more = {}) => {
  const entries = Object.entries(files).map(([name, text]) => ({ name, path: name, bytes: text.length, sha256: sha256(text) }));
  return { ...files, "manifest.json": JSON.stringify({ name: "mine", version: "0a1b2c3d", ...more, files: entries }) };
};
const model = (weights) => ({ ...TEXTS, "model.safetensors": weights });

const signal = new AbortController().signal;
/** What a visit loads: contents by name, without the card that is made for it. */
async function load(source) {
  const keeper = { vault: await openVault(), signal, onProgress: () => undefined, patienceMs: 1, digest: async () => tools.digest() };
  const files = await loadOne({ source, choice: {}, part: "whole" }, { keeper, tools: async () => tools });
  files.delete("model.json");
  return Object.fromEntries(await Promise.all([...files].map(async ([name, blob]) => [name, await blob.text()])));
}
const look = async (source) =>
  (await availability({ model: source, choice: {}, wasm, device: "cpu", threads: 1 }, { signal, emit: () => undefined })).model;
const names = () => [...disk.folders.get("namelens-models").keys()].sort();
const kept = () => names().filter((name) => /^[0-9a-f]{64}$/.test(name));
const manifests = () => names().filter((name) => name.startsWith("manifest-"));
const at = (query = "") => ({ manifest: `${hub.origin}/plain/manifest.json${query}` });
const folder = () => ({ folder: `${hub.origin}/plain/` });
const offline = () => (hub.breaks = () => true);
const online = () => (hub.breaks = () => false);

test("an update of a bundle takes the place of the version before, and only then", async () => {
  const [one, two] = [model("one"), model("two!")];
  hub.files = bundle(one);
  assert.deepEqual(await load(at()), one);
  assert.deepEqual(kept(), digests(one));
  // Looking at an update changes nothing: without a connection the version that is here is used.
  hub.files = bundle(two);
  assert.equal((await look(at())).kept, false);
  offline();
  assert.deepEqual(await load(at()), one);
  // An update that breaks off leaves what ran, and is gone on with.
  hub.breaks = (asked) => asked.endsWith("/model.safetensors");
  assert.deepEqual(await load(at()), one);
  online();
  assert.deepEqual(await load(at()), two);
  assert.deepEqual(kept(), digests(two));
  assert.deepEqual(names().filter((name) => !/^[0-9a-f]{64}(\.part)?$/.test(name)), manifests());
  assert.equal(manifests().length, 1);
  assert.equal((await look(at())).kept, true);
});

test("an update that never arrived whole is gone with the one after it", async () => {
  hub.files = bundle(model("one"));
  await load(at());
  hub.files = bundle({ ...model("two!"), "tokenizer.json": '{"of": "two"}' });
  hub.breaks = (asked) => asked.endsWith("/model.safetensors");
  await load(at());
  assert.ok(kept().includes(sha256('{"of": "two"}')));
  const three = model("three");
  hub.files = bundle(three);
  online();
  assert.deepEqual(await load(at()), three);
  assert.deepEqual(kept(), digests(three));
  assert.equal(manifests().length, 1);
});

test("bundles of one name at two addresses keep their files, unless one is of a lower version or was not used for long", async () => {
  const [one, two] = [model("one"), model("two!")];
  const both = digests({ ...one, other: "two!" });
  const visit = async (query, files, version) => {
    hub.files = bundle(files, { version });
    assert.deepEqual(await load(at(query)), files);
  };
  await visit("?app=1", one, "0a1b2c3d");
  await visit("?app=2", two, "0a1b2c3d");
  await visit("?app=1", one, "4e5f6071");
  assert.deepEqual(kept(), both);
  // Used every week, it is not old however long ago it came.
  const files = disk.folders.get("namelens-models");
  const age = (days) => manifests().forEach((name) => (files.get(name).time = Date.now() - days * 864e5));
  for (let week = 0; week < 6; week += 1) {
    age(7);
    await visit("?app=1", one, "4e5f6071");
    age(7);
    await visit("?app=2", two, "0a1b2c3d");
  }
  assert.deepEqual(kept(), both);
  age(31);
  await visit("?app=2", two, "0a1b2c3d");
  assert.deepEqual(kept(), digests(two));
  await visit("?app=1", one, "1.9");
  await visit("?app=2", two, "1.10");
  assert.deepEqual(kept(), digests(two));
  await visit("?app=1", one, "1.9");
  assert.deepEqual(kept(), both);
});

test("an update of a folder takes the place of the version before when all of it has arrived", async () => {
  const [one, two] = [model("one"), { ...model("two!"), "config.json": '{"a": 2}' }];
  hub.files = one;
  assert.deepEqual(await load(folder()), one);
  const before = names();
  hub.files = two;
  hub.breaks = (asked) => asked === "GET /plain/model.safetensors";
  assert.deepEqual(await load(folder()), one, "the texts are those of the weights");
  offline();
  assert.deepEqual(await load(folder()), one);
  online();
  assert.deepEqual(await load(folder()), two);
  assert.equal(names().length, before.length);
  offline();
  assert.deepEqual(await load(folder()), two);
});

for (const [what, place, files] of [
  ["folder", folder, (weights) => model(weights)],
  ["bundle", at, (weights) => bundle(model(weights))],
]) {
  test(`where there is no space for both versions of a ${what}, the one that is replaced goes first`, async () => {
    const large = (letter, length) => letter.repeat(length);
    hub.files = files(large("a", 60_000));
    await load(place());
    disk.quota = 100_000;
    hub.files = files(large("b", 61_000));
    assert.deepEqual(await load(place()), model(large("b", 61_000)));
    hub.files = files(large("c", 200_000));
    await assert.rejects(load(place()), { code: "quota" });
  });
}

test("a text that a server compresses on the way is the same one when it is asked about, and when it comes", async () => {
  hub.files = model("one");
  hub.etag = (body, method) => (method === "GET" && body === "{}" ? 'W/"2"' : `"${body.length}"`);
  await load(folder());
  hub.asked = [];
  assert.equal((await look(folder())).kept, true);
  await load(folder());
  assert.deepEqual(hub.asked.filter((line) => line.startsWith("GET")), []);
});

test("what says nothing of its version is fetched at every visit, beside what was there", async () => {
  hub.files = model("one");
  hub.etag = (body) => (body === "{}" ? [] : '"weights"');
  await load(folder());
  const before = names().length;
  hub.breaks = (asked) => asked === "GET /plain/tokenizer.json";
  assert.deepEqual(await load(folder()), model("one"));
  online();
  await load(folder());
  assert.equal(names().length, before);
});

test("a list of what was fetched that cannot be written stops nothing, and leaves the one before", async () => {
  hub.files = model("one");
  await load(folder());
  disk.written = [];
  await load(folder());
  assert.deepEqual(disk.written, [], "what is unchanged is not written again");
  // A file that is new to the model, so that its list is another one.
  hub.files = { ...model("one"), "chat_template.jinja": "x" };
  let failed = 0;
  disk.fails = (name, bytes) => name.startsWith("folder-") && Buffer.from(bytes).includes("chat_template") && (failed += 1) > 0;
  assert.deepEqual(await load(folder()), hub.files);
  assert.ok(failed > 0);
  offline();
  assert.deepEqual(await load(folder()), model("one"));
});
