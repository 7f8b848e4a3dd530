// The shelf of named things, what it refuses before the engine is asked, and those who hear of its changes; concepts in two hands at once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Concepts } from "../dist/concepts.js";
import { KeptConcepts } from "../dist/kept-concepts.js";

const PHOTO = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 1, 2, 3);

test("a box of no photo and a thing without photos are refused before the engine is asked", async () => {
  const asked = [];
  const concepts = new Concepts({ call: async (name) => asked.push(name) });
  const box = [0, 0, 0.5, 0.5];
  await assert.rejects(concepts.update("a", { box }), { code: "option", message: /^box: .*addPhoto/ });
  await assert.rejects(concepts.add({ name: "Miso", photo: [] }), { code: "option", message: /^photo: / });
  await assert.rejects(concepts.update("a", { addPhoto: [] }), { code: "option", message: /^photo: / });
  assert.deepEqual(asked, []);
  await concepts.update("a", { box, addPhoto: PHOTO });
  assert.deepEqual(asked, ["updateConcept"]);
});

test("a file of things that is none is refused as an option, and what is no photo as one", async () => {
  const asked = [];
  const concepts = new Concepts({ call: async (name) => (asked.push(name), name === "photosOfFile" ? ["a.png"] : { concepts: [], renamed: [], problems: [] }) });
  // As a search for database.json among the files of a folder that has none.
  for (const file of [undefined, null, "database.json", {}]) await assert.rejects(concepts.import(file), { code: "option", message: /^file: .*database\.json/ });
  assert.deepEqual(asked, []);
  await assert.rejects(concepts.import(new Blob(["{}"]), new Map([["a.png", {}]])), { code: "image", message: /^a\.png: / });
  assert.deepEqual([...(await concepts.import(new Blob(["{}"])))], []);
});

test("a listener that throws is told as every error of a page, and neither stops the change nor the other listeners", async () => {
  const concepts = new Concepts({ call: async () => ({ id: "a" }) });
  const reported = [];
  const before = globalThis.reportError;
  globalThis.reportError = (error) => reported.push(error.message);
  try {
    let heard = 0;
    concepts.onChange(() => {
      throw new Error("of the page");
    });
    concepts.onChange(() => (heard += 1));
    assert.deepEqual(await concepts.add({ name: "Miso", photo: PHOTO }), { id: "a" });
    assert.deepEqual([reported, heard], [["of the page"], 1]);
  } finally {
    globalThis.reportError = before;
  }
});

test("what cannot be put back is not changed: a record that cannot be read leaves the engine as it is", async () => {
  const changed = [];
  const engine = { restore: async () => ({ restored: 0, problems: [] }), listConcepts: () => [], updateConcept: async () => changed.push("update"), removeConcept: () => changed.push("remove") };
  const lost = Object.assign(new Error("the database is gone"), { name: "UnknownError" });
  const fails = () => {
    throw lost;
  };
  const table = { getAll: () => ({ result: [] }), get: () => ({ result: undefined }) };
  let works = true;
  const database = {
    transaction: () => {
      if (!works) fails();
      const transaction = { objectStore: () => table };
      setTimeout(() => transaction.oncomplete());
      return transaction;
    },
    close: () => undefined,
  };
  globalThis.indexedDB = {
    open: () => {
      const request = { result: database };
      setTimeout(() => request.onsuccess());
      return request;
    },
  };
  try {
    const keeping = { storage: "indexeddb", library: "lost", before: [], onKept: () => undefined, onChanged: () => undefined, inTurn: (task) => task() };
    const { kept, problems } = await KeptConcepts.open(engine, keeping, () => undefined);
    assert.deepEqual(problems, []);
    works = false;
    await assert.rejects(kept.update({ id: "a", patch: { name: "Max" } }), { code: "storage", message: /the database is gone/ });
    assert.deepEqual(changed, []);
    kept.close();
  } finally {
    delete globalThis.indexedDB;
  }
});
