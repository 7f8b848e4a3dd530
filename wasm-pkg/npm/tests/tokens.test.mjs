// What was made of reference photos: within bounds, whole, and gone when no thing has the photo any more.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { beforeEach, test } from "node:test";
import { KeptConcepts } from "../dist/kept-concepts.js";
import { KeptTokens } from "../dist/tokens.js";
import { newDisk } from "./disk.mjs";

let disk;
beforeEach(() => (disk = newDisk()));

const FOLDER = "namelens-tokens-mine";
const files = () => disk.folders.get(FOLDER);
const names = () => [...files().keys()].sort();
const photo = (seed) => Uint8Array.of(seed, 1, 2, 3);
const tokensOf = (seed, model = "m") => createHash("sha256").update(photo(seed)).digest("hex").slice(0, 32) + model;
const thing = (id, ...seeds) => ({ id, updatedMs: 1, createdMs: 1, name: id, photos: seeds.map((seed) => ({ bytes: photo(seed) })) });

/** What the engine uses to keep and take back. */
async function open() {
  const kept = await KeptTokens.open("mine");
  const engine = {};
  kept.serve({ keepIn: (get, put) => Object.assign(engine, { get, put }) });
  return { kept, ...engine };
}

test("a captioner that makes much of a photo leaves room for the things themselves", async () => {
  const { get, put } = await open();
  disk.quota = 4000;
  for (let seed = 0; seed < 6; seed += 1) await put(tokensOf(seed, seed < 2 ? "other" : "m"), new Uint8Array(300));
  assert.equal(names().length, 3, "a quarter of what there is");
  assert.ok(names().every((name) => name.endsWith("m")), "those of another model went first");
  assert.equal((await get(tokensOf(5))).length, 300);
  await put(tokensOf(9), new Uint8Array(1001));
  assert.equal(names().length, 3, "what is beyond the bounds alone displaces nothing");
  // However much space there is.
  disk.quota = Infinity;
  for (const name of names()) files().get(name).size = 80 * 2 ** 20;
  await put(tokensOf(7), new Uint8Array(15 * 2 ** 20));
  assert.equal(names().length, 4);
  await put(tokensOf(8), new Uint8Array(2 * 2 ** 20));
  assert.equal(names().length, 4);
  assert.ok(names().includes(tokensOf(8)));
  await put(tokensOf(8), new Uint8Array(2 * 2 ** 20));
  assert.equal(names().length, 4, "what is written again displaces nothing");
});

test("a write that fails leaves nothing", async () => {
  const { put } = await open();
  disk.fails = () => true;
  await put(tokensOf(1), new Uint8Array(300));
  assert.deepEqual(names(), []);
  disk.fails = () => false;
  await put(tokensOf(1), new Uint8Array(300));
  assert.deepEqual(names(), [tokensOf(1)]);
});

/** The concepts of a tab with an engine that lists what it was given. */
async function tab(inTurn = (task) => task()) {
  const engine = { things: new Map() };
  Object.assign(engine, {
    restore: async (stored) => (stored.forEach((one) => engine.things.set(one.id, one)), { restored: stored.length, problems: [] }),
    listConcepts: () => [...engine.things.values()],
    removeConcept: (id) => engine.things.delete(id),
    addConcept: async (input) => (engine.things.set(input.id, input), input),
    keepIn: (get, put) => Object.assign(engine, { get, put }),
  });
  const keeping = { storage: "indexeddb", library: "mine", before: [], onKept: () => undefined, onChanged: () => undefined, inTurn };
  const { kept } = await KeptConcepts.open(engine, keeping, () => undefined);
  return { kept, engine };
}
const until = async (fits) => {
  for (let tries = 0; tries < 500 && !fits(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 2));
};

test("what was made of a photo is gone before its thing is", async () => {
  const { kept, engine } = await tab();
  await kept.add(thing("a", 1));
  await kept.add(thing("b", 2));
  for (const seed of [1, 2]) await engine.put(tokensOf(seed), new Uint8Array(10));
  disk.refuses = (what) => what === "delete";
  await assert.rejects(kept.remove("a"), { code: "storage" });
  assert.deepEqual(names(), [tokensOf(2)]);
  assert.deepEqual(engine.listConcepts().map(({ id }) => id).sort(), ["a", "b"]);
  kept.close();
});

test("what nobody could delete then is gone at the next visit", async () => {
  const first = await tab();
  await first.kept.add(thing("a", 1, 2));
  for (const seed of [1, 2, 3]) await first.engine.put(tokensOf(seed), new Uint8Array(10));
  first.kept.close();
  const second = await tab();
  await until(() => names().length === 2);
  assert.deepEqual(names(), [tokensOf(1), tokensOf(2)].sort());
  second.kept.close();
});

test("what another tab still made of a photo is gone when it hears that the thing is", async () => {
  let free;
  const busy = new Promise((resolve) => (free = resolve));
  const one = await tab();
  const two = await tab(async (task) => (await busy, task()));
  await one.kept.add(thing("a", 1));
  await one.kept.add(thing("b", 2));
  for (const seed of [1, 2]) await two.engine.put(tokensOf(seed), new Uint8Array(10));
  files().get(tokensOf(1)).locked = true; // as while the other tab writes it
  await one.kept.remove("a");
  files().get(tokensOf(1)).locked = false;
  await two.engine.put(tokensOf(1, "again"), new Uint8Array(10));
  free();
  await until(() => names().length === 1);
  assert.deepEqual(names(), [tokensOf(2)]);
  for (const { kept } of [one, two]) kept.close();
});
