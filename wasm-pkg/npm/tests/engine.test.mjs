// What the package asks of a loaded engine, with the real one: adapters, tokens, tiles, precision, conversations.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Adapters } from "../dist/adapters.js";
import { Chat } from "../dist/chat.js";
import { Run } from "../dist/run.js";
import { loadEngine } from "../dist/engine.js";
import { at, chosen, open, wasm } from "./engine.mjs";

const SMOLVLM = "tests/fixtures/checkpoints/smolvlm";
let album;
let files;
before(async () => {
  const list = JSON.parse(await readFile(at("web-demo/public/album/album.json"), "utf8"));
  const photo = (role) => readFile(at(`web-demo/public/album/${list.find((one) => one.role === role).file}`));
  album = { thing: await photo("reference"), scene: await photo("scene") };
  files = await chosen(SMOLVLM);
});

const bytes = (buffer) => new Uint8Array(buffer);
const engines = [];
after(() => engines.forEach(({ end }) => end()));
const start = async (options, some = files) => {
  const engine = await open(some, options);
  engines.push(engine);
  return engine.link;
};
const run = (link, request) => link.call("run", { request: { kind: "caption", maxTokens: 8, ...request }, photo: bytes(album.scene) });

test("adapters of the folder and of files are listed, chosen and let go of, and change what is said", async () => {
  const link = await start();
  const { names, active } = { names: link.info.adapters, active: link.info.adapter };
  assert.deepEqual([names, active], [["narrow", "wide"], null]);
  const adapters = new Adapters(link, { names, active });
  const plain = (await run(link)).raw;
  await adapters.use("wide");
  assert.equal(adapters.active, "wide");
  const wide = (await run(link)).raw;
  assert.notEqual(wide, plain);
  const file = (name) => new File([files.get(`adapters/wide/${name}`)], name);
  await adapters.add("again", [file("adapter_config.json"), file("adapter_model.safetensors")]);
  assert.deepEqual([adapters.names, adapters.active], [["narrow", "wide", "again"], "wide"]);
  await adapters.use("again");
  assert.equal((await run(link)).raw, wide, "the same adapter from files");
  await adapters.use(null);
  assert.equal((await run(link)).raw, plain);
  await adapters.remove("wide");
  assert.deepEqual(adapters.names, ["narrow", "again"]);
  await assert.rejects(adapters.use("wide"), { code: "option" });
  await assert.rejects(adapters.add("again", { config: "{}", weights: new Blob() }), (error) => error.code !== "internal");
  await assert.rejects(adapters.add("x", [file("adapter_config.json")]), { code: "missing", message: /adapter_model\.safetensors is missing/ });
  assert.deepEqual([adapters.names, adapters.active], [["narrow", "again"], null], "what failed changed nothing");
});

test("an adapter that is chosen from the start is in use, and one that is not there is refused", async () => {
  const link = await start({ adapter: "wide", choice: { adapters: ["wide"] } });
  assert.deepEqual([link.info.adapters, link.info.adapter], [["wide"], "wide"]);
  await assert.rejects(start({ adapter: "wide", choice: { adapters: ["narrow"] } }), { code: "option" });
  await assert.rejects(start({ choice: { adapters: ["none"] } }), { code: "missing", message: /adapters\/none\/adapter_config\.json/ });
});

test("tokens are counted as they are read, tiles or not, with and without things, without running the model", async () => {
  const link = await start();
  const count = (request) => link.call("countTokens", { request: { kind: "caption", ...request }, photo: bytes(album.scene) });
  const counted = [];
  for (const request of [{}, { splitting: true }, { splitting: false }, { kind: "ask", question: "What is on the table?" }]) {
    const { prompt, visual, limit } = await count(request);
    assert.equal(prompt, (await run(link, { maxTokens: 1, ...request })).tokens.prompt, JSON.stringify(request));
    assert.ok(visual > 0 && visual < prompt && prompt < limit);
    counted.push(prompt);
  }
  assert.ok(counted[1] > counted[2], "tiles take tokens");
  await link.call("addConcept", { name: "Miso", photos: [{ bytes: bytes(album.thing) }] });
  const all = await count({ retrieval: "all" });
  assert.equal(all.prompt, (await run(link, { maxTokens: 1, retrieval: "all" })).tokens.prompt);
  assert.ok(all.prompt > counted[0] && all.visual > (await count({})).visual);
  // A prompt that is too long is counted all the same.
  const question = "word ".repeat(3000);
  assert.ok((await count({ kind: "ask", question })).prompt > all.limit);
  await assert.rejects(run(link, { kind: "ask", question }), { code: "context-full" });
});

test("log-probabilities are told of each token, where they are asked for", async () => {
  const link = await start();
  const plain = await run(link);
  assert.equal("logprobs" in plain, false);
  const { logprobs, raw, tokens } = await run(link, { topLogprobs: 4 });
  assert.equal(raw, plain.raw);
  assert.equal(logprobs.length, tokens.generated);
  for (const { id, token, logprob, topLogprobs } of logprobs) {
    assert.ok(Number.isInteger(id) && typeof token === "string" && logprob <= 0);
    const likely = topLogprobs.map((one) => one.logprob);
    assert.equal(likely.length, 4);
    assert.deepEqual(likely, likely.toSorted((a, b) => b - a));
    assert.ok(likely[0] >= logprob);
  }
  await assert.rejects(run(link, { topLogprobs: 21 }), { code: "option", message: /topLogprobs/ });
});

test("a precision is chosen by name, and an unknown one is refused", async () => {
  const link = await start({ precision: "q8_0" });
  const { text, tokens } = await run(link);
  assert.ok(tokens.generated > 0 && typeof text === "string");
  await assert.rejects(start({ precision: "q3" }), { code: "option", message: /precision/ });
  // A model as small as this one stays as it is.
  const [stored, auto] = [await start(), await start({ precision: "auto" })];
  assert.equal((await run(auto)).raw, (await run(stored)).raw);
  assert.equal(await auto.call("memory"), await stored.call("memory"));
});

test("a conversation's second turn reads only what is new", async () => {
  const link = await start();
  const ask = (photo, what, options) =>
    new Run(async () => link.call("run", { request: { ...what, maxTokens: options.maxTokens }, photo: new Uint8Array(await photo.arrayBuffer()) }));
  const chat = new Chat(bytes(album.scene), { maxTokens: 6 }, ask);
  const first = await chat.caption();
  const second = await chat.ask("And what is left of it?");
  assert.equal(second.tokens.reused > 0, true, `${second.tokens.reused} of ${second.tokens.prompt}`);
  assert.ok(second.tokens.prompt > first.tokens.prompt);
  // From scratch, by an engine that has seen nothing, it is the same answer.
  const fresh = await start();
  const request = { kind: "ask", question: "And what is left of it?", maxTokens: 6, earlier: [{ question: chat.turns[0].question, answer: first.raw }] };
  assert.equal((await fresh.call("run", { request, photo: bytes(album.scene) })).raw, second.raw);
});

test("a load that is stopped stops nobody else who waits for the same module", async () => {
  const abort = new AbortController();
  const load = (signal) => loadEngine(wasm, "webgpu", 1, () => undefined, signal);
  const [stopped, other] = [load(abort.signal), load(new AbortController().signal)];
  abort.abort();
  await assert.rejects(stopped, { code: "cancelled" });
  assert.equal((await other).threads, 1);
});

test("the id of a thing is like no name, so that names may change hands", async () => {
  const link = await start();
  const photos = () => [{ bytes: bytes(album.thing) }];
  const { id } = await link.call("addConcept", { name: "miso", photos: photos() });
  await link.call("updateConcept", { id, patch: { name: "Max" } });
  const other = await link.call("addConcept", { name: "miso", photos: photos() });
  assert.notEqual(other.id, id);
  for (const one of [id, other.id]) assert.match(one, /^[0-9a-f]{13}$/);
  const { raw } = await run(link, { kind: "ask", question: "Who is <miso>?", retrieval: { ids: [other.id] } });
  assert.equal(typeof raw, "string");
});
