// The model for photographs, with the real engine: boxes, what a photo shows before it is named, facts, and captioners beside it.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Concepts } from "../dist/concepts.js";
import { wantedOf } from "../dist/model.js";
import { captionerSource } from "../dist/source.js";
import { at, chosen, open } from "./engine.mjs";

const album = (name) => readFile(at(`web-demo/public/album/photos/${name}.jpg`));
let photos;
before(async () => (photos = await chosen("models/photos", /README/)));

const engines = [];
after(() => engines.forEach(({ end }) => end()));
const start = async (files, options) => {
  const engine = await open(files, options);
  engines.push(engine);
  return engine.link;
};
const bytes = (buffer) => new Uint8Array(buffer);
const overlap = (a, b) => {
  const side = (from) => Math.max(0, Math.min(a[from + 2], b[from + 2]) - Math.max(a[from], b[from]));
  const area = ([left, top, right, bottom]) => (right - left) * (bottom - top);
  const both = side(0) * side(1);
  return both / (area(a) + area(b) - both);
};

/** Where the dog is in its two photos, as a person sees it. */
const SOFA = [0.18, 0.05, 0.79, 0.95];
const LEAVES = [0.29, 0.08, 0.78, 0.9];

test("what a photo shows is said before it is named, of a given box too; what is named is found with its box, and the text is facts", async () => {
  const link = await start(photos);
  const { captions, knows, parameters } = link.info.model;
  assert.deepEqual([captions, knows, parameters], [false, "photos", 0]);
  const [sofa, leaves, cat] = await Promise.all(["collie-sofa", "collie-leaves", "cat-close"].map(album));

  const seen = await link.call("enrolment", { photo: bytes(sofa) });
  assert.ok(overlap(seen.box, SOFA) > 0.4, String(seen.box));
  assert.match(seen.words[0].word, /collie/);
  assert.ok(seen.words[0].share > 0 && seen.words[0].share <= 1);
  assert.deepEqual(seen.warnings, []);
  const given = await link.call("enrolment", { photo: bytes(sofa), box: [0.5, 0.2, 0.58, 0.28] });
  assert.deepEqual(given.warnings, [{ code: "small", pixels: 52 }]);
  assert.ok(overlap(given.box, [0.5, 0.2, 0.58, 0.28]) > 0.99);

  const concepts = new Concepts(link);
  const pixel = await concepts.add({ name: "Pixel", category: "Border collie", photo: sofa, box: SOFA });
  const [kept] = await concepts.references(pixel.id);
  assert.ok(overlap(kept.box, SOFA) > 0.99);
  assert.deepEqual(bytes(await kept.photo.arrayBuffer()), bytes(sofa));

  const run = (photo, request) => link.call("run", { request: { kind: "caption", ...request }, photo: bytes(photo) });
  const found = await run(leaves);
  assert.equal(found.source, "recognition");
  assert.match(found.text, /^Pixel \(Border collie\) is .*, \d+ % sure\.$/);
  assert.ok(overlap(found.mentions[0].box, LEAVES) > 0.3, String(found.mentions[0].box));
  assert.ok(found.retrieved[0].confidence > 0.8 && found.mentions[0].confidence > 0.8);
  assert.equal((await run(cat)).text, "None of your things was found in this photo.");
  assert.equal((await run(cat, { kind: "recognize", concept: "Pixel" })).answer, false);

  const again = await link.call("enrolment", { photo: bytes(leaves) });
  assert.deepEqual(again.warnings, [{ code: "known", id: pixel.id, name: "Pixel" }]);
});

test("boxes are for one photo or come with each, and what is no box is refused before anything changes", async () => {
  const link = await start(photos);
  const concepts = new Concepts(link);
  const [sofa, leaves] = await Promise.all(["collie-sofa", "collie-leaves"].map(album));
  const option = { code: "option", message: /^box: / };
  for (const box of [[0, 0, 1], "0 0 1 1", [0, 0, 1, NaN], {}]) await assert.rejects(concepts.add({ name: "Pixel", photo: sofa, box }), option);
  await assert.rejects(concepts.add({ name: "Pixel", photo: [sofa, leaves], box: SOFA }), option);
  await assert.rejects(concepts.add({ name: "Pixel", photo: { photo: sofa, box: SOFA }, box: SOFA }), option);
  await assert.rejects(concepts.add({ name: "Pixel", photo: sofa, box: [0.6, 0.1, 0.4, 0.9] }), (error) => error.code !== "internal");
  assert.deepEqual(await concepts.list(), []);
  const nothing = { aliases: undefined, category: undefined, info: undefined, box: undefined, signal: undefined };
  const { id, photos: two } = await concepts.add({ name: "Pixel", photo: [{ photo: sofa, box: SOFA }, leaves], ...nothing });
  assert.equal((await concepts.update(id, { name: undefined, ...nothing })).name, "Pixel");
  assert.equal(two, 2);
  assert.equal((await concepts.update(id, { addPhoto: leaves, box: LEAVES })).photos, 3);
  assert.deepEqual((await concepts.references(id)).map(({ box }) => box !== null), [true, false, true]);
  assert.equal((await concepts.photos(id)).length, 3);
  // They are exported and imported with their boxes.
  const file = await concepts.export();
  await concepts.remove(id);
  const [back] = await concepts.import(file);
  assert.ok(overlap((await concepts.references(back.id))[0].box, SOFA) > 0.99);
});

test("a captioner of another folder is set beside what searches photos, each file from where it belongs", async () => {
  const smolvlm = await chosen("tests/fixtures/checkpoints/smolvlm");
  const both = { model: { name: "photos", chosen: photos }, captioner: { name: "mine", chosen: smolvlm } };
  const link = await start(new Map(), { ...both, choice: { adapters: [] } });
  const { captions, family, name, parameters } = link.info.model;
  assert.deepEqual([captions, family, name], [true, "smolvlm", "mine"]);
  assert.ok(parameters > 0);
  const [sofa, leaves] = await Promise.all(["collie-sofa", "collie-leaves"].map(album));
  await new Concepts(link).add({ name: "Pixel", photo: sofa, box: SOFA });
  const { source, retrieved } = await link.call("run", { request: { kind: "caption", maxTokens: 4 }, photo: bytes(leaves) });
  assert.equal(source, "captioner");
  assert.equal(retrieved[0]?.name, "Pixel");
  assert.ok(retrieved[0].confidence > 0.8, "searched by the model for photos");
  // The choice is the captioner's.
  assert.deepEqual(wantedOf(both, { weights: "a.gguf" }).map(({ part, choice }) => [part, choice]), [["retriever", {}], ["captioner", { weights: "a.gguf" }]]);
});

test("a photo encoder of others searches alone, beside another one, and beside a captioner", async () => {
  const calibration = { score: 9, margin: 29, bias: -7, lone: { score: 9, bias: -7 }, similarity: { absent: 0.8, present: 0.9 } };
  const dino = await chosen("tests/fixtures/checkpoints/dinov2");
  const leaves = await album("collie-leaves");
  const measured = new Map([...dino, ["retrieval.json", new Blob([JSON.stringify(calibration)])]]);
  const beside = new Map([...photos, ...[...measured].map(([name, file]) => [`retriever/dino/${name}`, file])]);
  const captioner = { name: "mine", chosen: await chosen("tests/fixtures/checkpoints/smolvlm") };
  for (const [model, more] of [[measured, {}], [beside, {}], [measured, { captioner, choice: { adapters: [] } }]]) {
    const link = await start(model, more);
    assert.equal(link.info.model.captions, "captioner" in more);
    await new Concepts(link).add({ name: "Pixel", photo: leaves, box: LEAVES });
    const { retrieved } = await link.call("run", { request: { kind: "caption", maxTokens: 2, retrieval: "all" }, photo: bytes(leaves) });
    assert.deepEqual(retrieved.map(({ name }) => name), ["Pixel"]);
    // Even random features know the very photo again.
    assert.ok(retrieved[0].confidence > 0.5, String(retrieved[0].confidence));
  }
  await assert.rejects(start(dino), { code: "missing", message: /retrieval\.json is missing: .*--calibrate/ });
});

test("what was trained on drawings captions no photograph, and what writes nothing is no captioner", async () => {
  const own = { photos: { manifest: "p" }, playroom: { manifest: "q" } };
  const refused = (captioner, model, message) => assert.rejects(captionerSource(captioner, model, own), { code: "option", message });
  await refused("playroom", "photos", /knows drawn toys only/);
  await refused("photos", "photos", /writes no captions/);
  await refused("/m/", "playroom", /the model for the Playroom has one/);
  const playroom = await chosen("models/playroom", /README|manifest/);
  const both = { model: { name: "photos", chosen: photos }, captioner: { name: "mine", chosen: playroom } };
  await assert.rejects(start(new Map(), both), { code: "option", message: /captioner: .* knows drawn toys only/ });
  const neither = { model: { name: "smolvlm", chosen: await chosen("tests/fixtures/checkpoints/smolvlm") }, captioner: both.captioner };
  await assert.rejects(start(new Map(), neither), (error) => error.code === "missing");
});

test("a photo that cannot be read is refused as one", async () => {
  const link = await start(photos);
  await assert.rejects(link.call("enrolment", { photo: new TextEncoder().encode("no photo") }), { code: "image" });
});
