// Downloads that break off, change, meet servers without ranges, run out of space or are stopped: against a real server.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { after, before, beforeEach, test } from "node:test";
import { keepCurrent, keepPublished } from "../dist/keep.js";
import { judge, startingPoint } from "../dist/transfer.js";
import { MemoryVault } from "../dist/vault-memory.js";

const bytes = (length, seed) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 255));
const sha256 = (body) => createHash("sha256").update(body).digest("hex");
const FILE = bytes(300_000, 1);

/** The server: what it serves, how it misbehaves, what it was asked. */
let site;
let server;
let url;
before(async () => {
  server = createServer((request, response) => {
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    site.asked.push({ range: request.headers.range, ifRange: request.headers["if-range"] });
    const { body, etag } = site;
    if (site.status) return response.writeHead(site.status).end();
    const from = site.ranges && range && (!request.headers["if-range"] || request.headers["if-range"] === etag) ? Number(range[1]) : null;
    const headers = etag ? { etag } : {};
    if (from !== null && from >= body.length) return response.writeHead(416, { ...headers, "content-range": `bytes */${body.length}` }).end();
    const part = body.subarray(from ?? 0);
    if (!site.quiet) headers["content-length"] = String(part.length);
    if (from !== null) headers["content-range"] = `bytes ${from}-${body.length - 1}/${body.length}`;
    response.writeHead(from === null ? 200 : 206, headers);
    const limit = site.cuts.shift() ?? Infinity;
    if (limit >= part.length || site.quiet) return response.end(part.subarray(0, limit));
    response.write(part.subarray(0, limit), () => setTimeout(() => response.destroy(), 20));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${server.address().port}/model.safetensors`;
});
after(() => server.close());
beforeEach(() => (site = { body: FILE, etag: '"one"', ranges: true, cuts: [], asked: [], status: 0 }));

/** A vault that lasts, as the private file system does; `room` is what fits. */
class LastingVault extends MemoryVault {
  lasting = true;
  room = null;
  async free() {
    return this.room;
  }
  async slot(key) {
    const slot = await super.slot(key);
    slot.flush = async () => true;
    return slot;
  }
}

const keeper = (vault, signal = new AbortController().signal, onProgress = () => undefined) => ({
  vault,
  signal,
  onProgress,
  patienceMs: 5,
  digest: async () => {
    const hash = createHash("sha256");
    return { update: (part) => hash.update(part), finish: () => hash.digest("hex") };
  },
});
const current = (vault, more = {}, ...rest) =>
  keepCurrent("key", { url, name: "w", binary: true, bytes: site.body.length, validator: site.etag, ...more }, keeper(vault, ...rest));
const published = (vault, body = FILE) => keepPublished({ url, name: "w", bytes: body.length, sha256: sha256(body) }, keeper(vault));
const content = async (blob) => Buffer.from(await blob.arrayBuffer());

test("a connection that breaks off is gone on with, from the very byte", async () => {
  site.cuts = [100_000, 50_000];
  assert.deepEqual(await content(await current(new LastingVault())), FILE);
  const [first, second, third] = site.asked;
  assert.equal(first.range, "bytes=0-");
  assert.match(second.range, /^bytes=[1-9]\d*-$/);
  // It would have to be asked for first wherever an address leads to another origin, and many servers of files refuse.
  assert.equal(second.ifRange, undefined);
  assert.ok(Number(third.range.slice(6, -1)) > Number(second.range.slice(6, -1)));
  assert.equal(site.asked.length, 3);
});

test("a body that ends early as if it were whole is noticed", async () => {
  Object.assign(site, { quiet: true, cuts: [100_000] });
  assert.deepEqual(await content(await current(new LastingVault())), FILE);
  assert.deepEqual(site.asked.map(({ range }) => range), ["bytes=0-", "bytes=100000-"]);
});

test("a later visit goes on where the one before was stopped", async () => {
  const vault = new LastingVault();
  const stop = new AbortController();
  site.cuts = [200_000];
  await assert.rejects(current(vault, {}, stop.signal, (_stage, _name, done) => done > 0 && stop.abort()), { code: "cancelled" });
  const kept = (await vault.read("key")).size;
  assert.ok(kept > 0 && kept < FILE.length, `${kept}`);
  site.asked = [];
  assert.deepEqual(await content(await current(vault)), FILE);
  assert.deepEqual(site.asked.map(({ range }) => range), [`bytes=${kept}-`]);
  site.asked = [];
  assert.deepEqual(await content(await current(vault)), FILE);
  assert.deepEqual(site.asked, [], "a whole file is not fetched again");
});

test("a server without ranges begins anew, and another file is not glued to the old beginning", async () => {
  for (const change of [{ ranges: false }, { etag: '"two"', body: bytes(280_000, 2) }, { etag: '"two"', body: bytes(300_000, 3) }]) {
    const vault = new LastingVault();
    Object.assign(site, { body: FILE, etag: '"one"', ranges: true, status: 0, cuts: [120_000, 0, 0, 0] });
    await assert.rejects(current(vault), { code: "network" });
    Object.assign(site, change, { cuts: [] });
    // The file changes between the first question and the download.
    assert.deepEqual(await content(await current(vault, { validator: '"one"' })), site.body);
  }
});

test("a file that changes while it is fetched is not glued together, whatever the server says of it then", async () => {
  const other = bytes(300_000, 5);
  for (const change of [{ etag: '"two"', body: other }, { etag: null, body: other }, { etag: '"one"', body: bytes(299_000, 5) }]) {
    Object.assign(site, { body: FILE, etag: '"one"', cuts: [120_000], asked: [] });
    const begun = (_stage, _name, done) => done > 0 && Object.assign(site, change);
    assert.deepEqual(await content(await current(new LastingVault(), {}, new AbortController().signal, begun)), change.body);
    assert.equal(site.asked.at(-1).range, "bytes=0-");
  }
});

test("what is about to be thrown away counts as space", async () => {
  const vault = new LastingVault();
  site.cuts = [120_000, 0, 0, 0];
  await assert.rejects(current(vault), { code: "network" });
  const kept = (await vault.read("key")).size;
  Object.assign(site, { ranges: false, cuts: [] });
  vault.room = FILE.length - kept - 1;
  await assert.rejects(current(vault), { code: "quota" });
  vault.room = FILE.length - kept;
  assert.deepEqual(await content(await current(vault)), FILE);
});

test("a file that changed between visits is fetched again", async () => {
  const vault = new LastingVault();
  await current(vault);
  Object.assign(site, { etag: '"two"', body: bytes(300_000, 4), asked: [] });
  assert.deepEqual(await content(await current(vault)), site.body);
  assert.equal(site.asked[0].range, "bytes=0-");
});

test("without a validator nothing proves that the rest belongs to the beginning", async () => {
  const vault = new LastingVault();
  Object.assign(site, { etag: null, cuts: [120_000, 0, 0, 0] });
  await assert.rejects(current(vault), { code: "network" });
  Object.assign(site, { cuts: [], asked: [] });
  assert.deepEqual(await content(await current(vault)), FILE);
  assert.equal(site.asked[0].range, "bytes=0-");
});

test("a published file is proved by its digest: a damaged rest is fetched anew, a damaged copy refused", async () => {
  const vault = new LastingVault();
  Object.assign(site, { etag: null, cuts: [120_000, 0, 0, 0] });
  await assert.rejects(published(vault), { code: "network" });
  const key = sha256(FILE);
  const part = await content(await vault.read(key));
  part[5] ^= 1;
  const slot = await vault.slot(key);
  await slot.write(part, 0);
  await slot.close();
  Object.assign(site, { cuts: [], asked: [] });
  assert.deepEqual(await content(await published(vault)), FILE);
  assert.deepEqual(site.asked.map(({ range }) => range), [`bytes=${part.length}-`, "bytes=0-"]);
  await assert.rejects(published(new LastingVault(), bytes(300_000, 9)), { code: "integrity" });
  await assert.rejects(published(new LastingVault(), bytes(299_999, 9)), { code: "integrity" });
});

test("refusals, missing space and too much for memory have codes of their own", async () => {
  site.status = 403;
  await assert.rejects(current(new LastingVault()), { code: "http", message: /403/ });
  assert.equal(site.asked.length, 1, "a refusal is not asked again");
  site.status = 0;
  const full = new LastingVault();
  full.room = 1000;
  await assert.rejects(current(full), { code: "quota" });
  await assert.rejects(current(new MemoryVault(100_000)), { code: "memory" });
  const broken = new LastingVault();
  const slot = broken.slot.bind(broken);
  broken.slot = async (key) => {
    const inner = await slot(key);
    if (key === "key") inner.write = async () => Promise.reject(Object.assign(new Error("full"), { code: "quota" }));
    return inner;
  };
  await assert.rejects(current(broken), (error) => error.code === "quota");
});

test("an empty file and one that was whole already need no body", async () => {
  site.body = Buffer.alloc(0);
  assert.equal((await current(new LastingVault())).size, 0);
});

test("answers are judged by what they say", () => {
  const state = { bytes: 10, total: 20, validator: '"a"', whole: false };
  const reply = { status: 206, contentRange: "bytes 10-19/20", contentLength: 10, validator: '"a"', encoded: false };
  const kind = (change, from = state) => judge(from, { ...reply, ...change }).kind;
  assert.deepEqual(judge(state, reply), { kind: "body", from: 10, total: 20 });
  const unproved = { ...state, validator: null };
  assert.equal(kind({}, unproved), "restart");
  assert.deepEqual(judge(unproved, { ...reply, contentRange: null, validator: null }), { kind: "body", from: 10, total: 20 }, "headers hidden by CORS");
  assert.equal(kind({ contentRange: null, contentLength: 11, validator: null }, unproved), "restart");
  assert.equal(judge(unproved, { ...reply, contentRange: null, validator: null, encoded: true }).total, null);
  assert.equal(kind({ validator: null }), "restart");
  assert.equal(kind({ contentRange: "bytes 9-19/20" }), "restart");
  assert.equal(kind({ contentRange: "bytes 10-20/21" }), "restart");
  assert.equal(kind({ validator: '"b"' }), "restart");
  assert.deepEqual(judge(state, { ...reply, status: 200, contentRange: null, contentLength: 20 }), { kind: "body", from: 0, total: 20 });
  assert.equal(judge(state, { ...reply, status: 200, encoded: true }).total, null);
  assert.equal(kind({ status: 416, contentRange: "bytes */20" }), "restart");
  assert.equal(kind({ status: 416, contentRange: "bytes */10" }, { ...state, total: 10 }), "whole");
  assert.equal(kind({ status: 416, contentRange: "bytes */10", validator: null }, { ...state, total: 10 }), "whole", "an error may be without one");
  assert.equal(kind({ status: 416, contentRange: "bytes */10", validator: '"b"' }, { ...state, total: 10 }), "restart");
  for (const status of [204, 301, 401, 403, 404, 500, 503]) assert.equal(kind({ status }), "refused", String(status));
});

test("a note counts only as far as the file goes and the server can prove it", () => {
  const target = { url: "u", bytes: null, checked: false, binary: true };
  const note = { bytes: 10, total: 20, validator: '"a"', whole: false };
  assert.equal(startingPoint(target, 15, note).bytes, 10);
  assert.equal(startingPoint(target, 5, note).bytes, 5);
  assert.equal(startingPoint(target, 15, null).bytes, 0);
  assert.equal(startingPoint(target, 15, { ...note, validator: null }).bytes, 0);
  assert.equal(startingPoint({ ...target, checked: true }, 15, { ...note, validator: null }).bytes, 10);
  assert.equal(startingPoint({ ...target, binary: false }, 15, note).bytes, 0);
  assert.equal(startingPoint({ ...target, bytes: 8 }, 15, note).bytes, 0);
});

test("a page that may lock nothing keeps nothing, and works", async () => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  const locks = (request) => Object.defineProperty(globalThis, "navigator", { configurable: true, value: { locks: { request } } });
  const file = { name: "f", url, binary: true, bytes: FILE.length, validator: '"one"' };
  try {
    locks(() => Promise.reject(new DOMException("Access to the Locks API is denied in this context.", "SecurityError")));
    const blob = await keepCurrent("f", file, keeper(new MemoryVault()));
    assert.equal(blob.size, FILE.length);
    // What fails inside of a lock is not tried again, and a wait that is stopped is none that was refused.
    let tries = 0;
    locks(async (_name, _options, body) => body());
    const failing = Object.assign(new MemoryVault(), { slot: async () => ((tries += 1), Promise.reject(new Error("no room"))) });
    await assert.rejects(keepCurrent("f", file, keeper(failing)), /no room/);
    assert.equal(tries, 1);
    const abort = new AbortController();
    locks(() => (abort.abort(), Promise.reject(new DOMException("stopped", "AbortError"))));
    await assert.rejects(keepCurrent("f", file, keeper(new MemoryVault(), abort.signal)), { name: "AbortError" });
  } finally {
    delete globalThis.navigator;
    if (before) Object.defineProperty(globalThis, "navigator", before);
  }
});
