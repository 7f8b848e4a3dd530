// What the package offers beyond captions, in Chromium, as a stranger's page uses it: adapters, conversations, tokens, availability.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import { serveHub, servePackage } from "./package.js";
import { expect, test, type Demo } from "./page.js";
import { COLLIE, overlap, photoBytes } from "./photos.js";

// A service worker would answer before the test can.
test.use({ serviceWorkers: "block" });

const smolvlm = fileURLToPath(new URL("../fixtures/checkpoints/smolvlm", import.meta.url));

/** The checkpoint's files with its adapters, as text by their paths. */
async function smolvlmFiles(): Promise<[string, string][]> {
  const entries = await readdir(smolvlm, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const some = paths.filter((path) => !/goldens|logits/.test(path));
  return Promise.all(some.map(async (path) => [path.slice(smolvlm.length + 1), (await readFile(path)).toString("base64")]));
}

/** Opens the page, the package beside it and the first scene of the album. */
async function prepare(page: Page, demo: Demo): Promise<{ script: string; scene: string }> {
  await demo.goto();
  const { scene } = await demo.album();
  return { script: await servePackage(page), scene: (await demo.albumBytes(scene)).toString("base64") };
}

test("adapters are listed, chosen, added from files, and forgotten with the model", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, scene, files }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const model = new Map(files.map(([path, data]) => [path, new Blob([bytes(data)])]));
      const lens = await NameLens.create({ model, device: "cpu", storage: "memory" });
      const say = async (): Promise<string> => (await lens.caption(bytes(scene), { maxTokens: 8 })).raw;
      const plain = await say();
      const names = [...lens.adapters.names];
      await lens.adapters.use("wide");
      const wide = await say();
      const config = model.get("adapters/wide/adapter_config.json") ?? new Blob();
      const weights = model.get("adapters/wide/adapter_model.safetensors") ?? new Blob();
      await lens.adapters.add("again", { config, weights });
      await lens.adapters.use("again");
      const again = await say();
      const code = await lens.adapters.use("none").catch((error: unknown) => (error instanceof NameLensError ? error.code : String(error)));
      await lens.adapters.remove("again");
      const last = await say();
      await lens[Symbol.asyncDispose]();
      const after = await lens.memory().catch((error: unknown) => (error as Error & { code?: string }).code);
      return { names, same: wide === again, changes: wide !== plain, back: last === plain, code, after, active: lens.adapters.active };
    },
    { ...(await prepare(page, demo)), files: await smolvlmFiles() },
  );
  expect(outcome).toEqual({ names: ["narrow", "wide"], same: true, changes: true, back: true, code: "option", after: "disposed", active: null });
});

test("tokens are counted as they are read, with tiles and without", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, scene, files }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const model = new Map(files.map(([path, data]) => [path, new Blob([bytes(data)])]));
      const lens = await NameLens.create({ model, device: "cpu", storage: "memory", precision: "q8_0" });
      const counts: [number, number][] = [];
      for (const splitting of [true, false]) {
        const { prompt } = await lens.countTokens(bytes(scene), "What is here?", { splitting });
        const { tokens } = await lens.ask(bytes(scene), "What is here?", { splitting, maxTokens: 1 });
        counts.push([prompt, tokens.prompt]);
      }
      await lens.dispose();
      return counts;
    },
    { ...(await prepare(page, demo)), files: await smolvlmFiles() },
  );
  const [tiles, whole] = outcome;
  expect(tiles?.[0]).toBe(tiles?.[1]);
  expect(whole?.[0]).toBe(whole?.[1]);
  expect(tiles?.[0]).toBeGreaterThan(whole?.[0] ?? Infinity);
});

test("a conversation's later turns read only what is new", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, scene }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const photo = Uint8Array.from(atob(scene), (char) => char.charCodeAt(0));
      const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory" });
      const chat = lens.chat(photo, { maxTokens: 12 });
      const first = await chat.caption();
      const second = await chat.ask("What colour is it?");
      const turns = chat.turns.map(({ question }) => question);
      chat.dispose();
      await lens.dispose();
      return { prompts: [first.tokens.prompt, second.tokens.prompt], reused: second.tokens.reused ?? 0, turns };
    },
    await prepare(page, demo),
  );
  const [first = 0, second = 0] = outcome.prompts;
  expect(outcome.turns).toHaveLength(2);
  expect(second).toBeGreaterThan(first);
  expect(outcome.reused).toBeGreaterThan(first / 2);
  expect(outcome.reused).toBeLessThan(second);
});

test("what was made of a reference photo is kept between visits, taken back, and goes with its thing", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const { script, scene } = await prepare(page, demo);
  const thing = (await demo.albumBytes((await demo.album()).thing)).toString("base64");
  const outcome = await page.evaluate(
    async ({ script, scene, thing }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const files = async (): Promise<Map<string, Blob>> => {
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("namelens-tokens", { create: true });
        const found = new Map<string, Blob>();
        for await (const name of folder.keys()) found.set(name, await (await folder.getFileHandle(name)).getFile());
        return found;
      };
      const settled = async (count: number): Promise<Map<string, Blob>> => {
        for (let tries = 0; tries < 100; tries += 1) {
          const found = await files();
          if (found.size === count && [...found.values()].every(({ size }) => size > 0)) return found;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        return files();
      };
      const visit = (): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu" });
      const first = await visit();
      await first.concepts.add({ name: "Zuzu", photo: bytes(thing) });
      const before = await first.caption(bytes(scene), { retrieval: "all" });
      const kept = await settled(1);
      await first.dispose();
      const stamp = async (): Promise<number[]> => [...(await files()).values()].map((file) => (file as File).lastModified);
      const written = await stamp();
      const second = await visit();
      const after = await second.caption(bytes(scene), { retrieval: "all" });
      const again = await stamp();
      const [concept] = await second.concepts.list();
      if (concept) await second.concepts.remove(concept.id);
      const left = await settled(0);
      await second.dispose();
      return { texts: [before.raw, after.raw], kept: kept.size, same: String(written) === String(again), left: left.size };
    },
    { script, scene, thing },
  );
  expect(outcome.texts[1]).toBe(outcome.texts[0]);
  expect(outcome).toMatchObject({ kept: 1, same: true, left: 0 });
});

test("what a model would take is known before it is fetched, and after that it is here", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const asked: string[] = [];
  const { script } = await prepare(page, demo);
  const model = await serveHub(page, smolvlm, false, (what) => asked.push(what));
  const look = () =>
    page.evaluate(
      async ({ script, model }) => {
        const { NameLens } = (await import(script)) as typeof import("namelens");
        const { device, fallback, deviceMemory, freeStorage, model: found } = await NameLens.availability({ model });
        return { device, fallback, deviceMemory, freeStorage, found };
      },
      { script, model },
    );
  const before = await look();
  expect(before.found).toMatchObject({ name: "org/model", kept: false });
  expect(before.found.bytes).toBeGreaterThan(100_000);
  expect(before.freeStorage).toBeGreaterThan(0);
  expect(before.device).toBe("cpu");
  // The index alone was fetched: it says which shards there are.
  expect(asked.filter((what) => what.startsWith("GET"))).toEqual(["GET model.safetensors.index.json"]);
  await page.evaluate(
    async ({ script, model }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      await (await NameLens.create({ model, device: "cpu", storage: "memory" })).dispose();
    },
    { script, model },
  );
  const after = await look();
  expect(after.found).toMatchObject({ kept: true, bytes: before.found.bytes, keptBytes: before.found.bytes });
  await page.evaluate(async (script) => ((await import(script)) as typeof import("namelens")).NameLens.forgetModels(), script);
  expect((await look()).found).toMatchObject({ kept: false });
});

test("the package opens on photographs: what a photo shows, boxes, facts, and libraries of their own", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const { script } = await prepare(page, demo);
  const [sofa, leaves] = await Promise.all(["collie-sofa", "collie-leaves"].map(async (name) => (await photoBytes(name)).toString("base64")));
  const outcome = await page.evaluate(
    async ({ script, sofa, leaves, box }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const code = (error: unknown): string => (error instanceof NameLensError ? error.code : String(error));
      const refused = await NameLens.create({ captioner: "playroom", device: "cpu" }).catch(code);
      const lens = await NameLens.create({ device: "cpu", library: "pets" });
      const { captions, knows } = lens.info.model;
      const seen = await lens.enrolment(bytes(sofa));
      const given = await lens.enrolment(bytes(sofa), { box: [0.5, 0.2, 0.54, 0.24] });
      const bad = await lens.enrolment(bytes(sofa), { box: [0.9, 0.2, 0.5, 0.4] }).catch(code);
      const { id } = await lens.concepts.add({ name: "Pixel", category: "collie", photo: bytes(sofa), box });
      await lens.concepts.update(id, { addPhoto: bytes(leaves) });
      const boxes = (await lens.concepts.references(id)).map(({ box }) => box !== null);
      const { text, source, retrieved } = await lens.caption(bytes(leaves));
      const { answer } = await lens.recognize(bytes(leaves), "Pixel");
      await lens.dispose();
      const other = await NameLens.create({ device: "cpu", library: "things" });
      const elsewhere = (await other.concepts.list()).length;
      await other.dispose();
      const again = await NameLens.create({ device: "cpu", library: "pets" });
      const kept = (await again.concepts.list()).map(({ name, photos }) => [name, photos]);
      await again.dispose();
      const sure = retrieved[0]?.confidence ?? 0;
      return { refused, captions, knows, box: seen.box, word: seen.words[0]?.word, warning: given.warnings[0]?.code, bad, boxes, text, source, answer, sure, elsewhere, kept };
    },
    { script, sofa: sofa ?? "", leaves: leaves ?? "", box: COLLIE["collie-sofa"] ?? [0, 0, 1, 1] },
  );
  expect(outcome).toMatchObject({ refused: "option", captions: false, knows: "photos", warning: "small", bad: "option", boxes: [true, false] });
  expect(outcome).toMatchObject({ source: "recognition", answer: true, elsewhere: 0, kept: [["Pixel", 2]], word: expect.stringContaining("collie") });
  expect(overlap(outcome.box, COLLIE["collie-sofa"] ?? [0, 0, 0, 0])).toBeGreaterThan(0.4);
  expect(outcome.text).toMatch(/^Pixel \(collie\) is .*, \d+ % sure\.$/);
  expect(outcome.sure).toBeGreaterThan(0.8);
});
