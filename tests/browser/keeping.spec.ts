// Things that are kept in the browser: two hands on one library, a library that is taken away, storage that is not there.

import type { Page } from "@playwright/test";
import { servePackage } from "./package.js";
import { expect, test, type Demo } from "./page.js";
import { Photos } from "./photos.js";

// A service worker would answer before the test can.
test.use({ serviceWorkers: "block" });

/** The package's address, and photos of two things as text. */
async function prepare(page: Page, demo: Demo): Promise<{ script: string; one: string; two: string }> {
  await demo.goto();
  const { thing, scene } = await demo.album();
  const [one, two] = [await demo.albumBytes(thing), await demo.albumBytes(scene)];
  // What the page itself loads is whole then.
  await demo.loaded();
  return { script: await servePackage(page), one: one.toString("base64"), two: two.toString("base64") };
}

test("two hands on one library: a name goes to one of them, and changes of both are kept", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, one, two }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const code = (error: unknown): string => (error instanceof NameLensError ? error.code : String(error));
      const open = (): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu", threads: 1, library: "shared" });
      const [a, b] = await Promise.all([open(), open()]);
      const added = await Promise.all([a, b].map((lens) => lens.concepts.add({ name: "Miso", photo: bytes(one) }).then(({ name }) => name, code)));
      const both = await Promise.all([a, b].map(async (lens) => (await lens.concepts.list()).map(({ name }) => name)));
      const id = (await a.concepts.get("Miso"))?.id ?? "";
      // The slower of the two changes is begun when the quicker one is not yet known.
      const changed = await Promise.all([a.concepts.update(id, { addPhoto: bytes(two) }), b.concepts.rename(id, "Max")]).then(
        () => "both",
        code,
      );
      await Promise.all([a.concepts.update(id, { info: "of a" }), b.concepts.update(id, { category: "cat" })]);
      const removed = await Promise.all([a.concepts.remove(id), b.concepts.update(id, { info: "gone" }).then(() => undefined, code)]);
      await Promise.all([a.dispose(), b.dispose()]);
      const again = await open();
      const kept = await again.concepts.list();
      await again.concepts.add({ name: "Miso", photo: bytes(one) });
      const { id: last } = (await again.concepts.list())[0] ?? { id: "" };
      await again.concepts.remove(last);
      await again.dispose();
      return { added: added.sort(), both, changed, removed: removed[1], kept: kept.length };
    },
    await prepare(page, demo),
  );
  expect(outcome.added).toEqual(["Miso", "concept"]);
  expect(outcome.both).toEqual([["Miso"], ["Miso"]]);
  expect(outcome.changed).toBe("both");
  // Whoever came second found it gone, or changed it before it went.
  expect([undefined, "concept"]).toContain(outcome.removed);
  expect(outcome.kept).toBe(0);
});

test("what both hands changed of one thing is in the library at the next visit", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, one, two }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const open = (): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu", threads: 1, library: "both" });
      const [a, b] = await Promise.all([open(), open()]);
      const { id } = await a.concepts.add({ name: "Miso", photo: bytes(one) });
      // b is busy, so that what a does is heard only after the change that waits in b.
      const busy = b.caption(bytes(two));
      const renamed = b.concepts.rename(id, "Max");
      await a.concepts.update(id, { addPhoto: bytes(two) });
      await Promise.all([busy, renamed]);
      await Promise.all([a.dispose(), b.dispose()]);
      const again = await open();
      const kept = (await again.concepts.list()).map(({ name, photos }) => [name, photos]);
      await again.concepts.remove(id);
      await again.dispose();
      return kept;
    },
    await prepare(page, demo),
  );
  expect(outcome).toEqual([["Max", 2]]);
});

test("a library that is cleared or taken away while it is open is noticed, and the next thing is kept", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(
    async ({ script, one }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const told = (error: unknown): string => (error instanceof NameLensError ? `${error.code}: ${error.message}` : String(error));
      const settled = (request: IDBOpenDBRequest): Promise<unknown> =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      const open = (): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu", threads: 1, library: "lost" });
      const lens = await open();
      const { id } = await lens.concepts.add({ name: "Miso", photo: bytes(one) });
      // As another tab with a later version of the package would do: nothing can be kept any more, and nothing is lost.
      const newer = (await settled(indexedDB.open("namelens-lost", 99))) as IDBDatabase;
      const refused = await lens.concepts.rename(id, "Max").then(() => "kept", told);
      const still = (await lens.concepts.list()).map(({ name }) => name);
      newer.close();
      // As the visitor does who clears the page's data.
      await settled(indexedDB.deleteDatabase("namelens-lost"));
      const gone = await lens.concepts.rename(id, "Max").then(() => "kept", told);
      const left = (await lens.concepts.list()).length;
      await lens.concepts.add({ name: "Mochi", photo: bytes(one) });
      await lens.dispose();
      const again = await open();
      const kept = (await again.concepts.list()).map(({ name }) => name);
      await again.dispose();
      return { refused, still, gone, left, kept };
    },
    await prepare(page, demo),
  );
  expect(outcome.refused).toMatch(/^storage: reading a concept: .*version/);
  expect(outcome.still).toEqual(["Miso"]);
  expect(outcome.gone).toMatch(/^concept: /);
  expect(outcome).toMatchObject({ left: 0, kept: ["Mochi"] });
});

test("things that were kept by an earlier version are there", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const names = await page.evaluate(
    async ({ script, one }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const open = (library: string): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu", threads: 1, library });
      const connect = (name: string, version?: number): Promise<IDBDatabase> =>
        new Promise((resolve, reject) => {
          const request = indexedDB.open(name, version);
          if (version === 1) request.onupgradeneeded = () => request.result.createObjectStore("concepts", { keyPath: "id" });
          request.onsuccess = () => resolve(request.result);
          request.onerror = () => reject(request.error);
        });
      const lens = await open("new");
      await lens.concepts.add({ name: "Miso", photo: bytes(one) });
      await lens.dispose();
      const [from, to] = [await connect("namelens-new"), await connect("namelens-old", 1)];
      const all = from.transaction("concepts").objectStore("concepts").getAll();
      await new Promise((resolve) => (all.onsuccess = resolve));
      // As the first version wrote it: one table, ids made from names.
      const put = to.transaction("concepts", "readwrite").objectStore("concepts").put({ ...all.result[0], id: "miso" });
      await new Promise((resolve) => (put.onsuccess = resolve));
      from.close();
      to.close();
      const old = await open("old");
      const { name } = await old.concepts.update("miso", { category: "cat" });
      const list = (await old.concepts.list()).map(({ category }) => category);
      await old.dispose();
      return [name, ...list];
    },
    await prepare(page, demo),
  );
  expect(names).toEqual(["Miso", "cat"]);
});

test("things are listed in the order in which they came, at every visit", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const orders = await page.evaluate(
    async ({ script, one }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const open = (): ReturnType<typeof NameLens.create> => NameLens.create({ model: "playroom", device: "cpu", threads: 1, library: "order" });
      const list = async (lens: Awaited<ReturnType<typeof open>>): Promise<string[]> => (await lens.concepts.list()).map(({ name }) => name);
      const first = await open();
      for (const name of ["Zoe", "Ada", "Miso", "Bo", "Pip", "Max"]) await first.concepts.add({ name, photo: bytes(one) });
      const before = await list(first);
      await first.dispose();
      const second = await open();
      const after = await list(second);
      await second.dispose();
      return [before, after];
    },
    await prepare(page, demo),
  );
  expect(orders).toEqual([
    ["Zoe", "Ada", "Miso", "Bo", "Pip", "Max"],
    ["Zoe", "Ada", "Miso", "Bo", "Pip", "Max"],
  ]);
});

test("the browser is asked once to keep what was named, after the first thing came, and may refuse", async ({ page, demo }) => {
  await page.addInitScript(() => {
    const asked = { times: 0 };
    Object.assign(window, { asked });
    navigator.storage.persist = () => Promise.reject(new Error(`asked ${(asked.times += 1)} times`));
  });
  const times = (): Promise<number> => page.evaluate(() => (window as unknown as { asked: { times: number } }).asked.times);
  await demo.open();
  expect(await times()).toBe(0);
  await demo.name("Miso");
  await expect.poll(times).toBe(1);
  await demo.name("Mochi", 1);
  const file = await demo.export();
  expect(await times()).toBe(1);
  // At another visit it is asked again, whichever way a thing comes.
  await page.reload();
  await demo.loaded();
  expect(await times()).toBe(0);
  await demo.shelf.getByLabel("Import things from a file").setInputFiles({ name: "things.json", mimeType: "application/json", buffer: file });
  await expect(page.locator("#notices")).toContainText("Imported");
  await expect.poll(times).toBe(1);
  const photos = new Photos(page);
  await photos.open();
  expect(await times()).toBe(0);
  await photos.pick();
  await photos.name("Pixel");
  await expect.poll(times).toBe(1);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("models are deleted also where only workers can write them, and one that is in use is told", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  const outcome = await page.evaluate(async ({ script }) => {
    const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle("namelens-models", { create: true });
    const names = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const name of folder.keys()) found.push(name);
      return found;
    };
    const file = await folder.getFileHandle("half-a-model", { create: true });
    const writing = await file.createWritable();
    const refused = await NameLens.forgetModels().catch((error: unknown) => (error instanceof NameLensError ? `${error.code}: ${error.message}` : String(error)));
    const inUse = await names();
    await writing.close();
    // As the pages of Safari before its version 26.
    Reflect.deleteProperty(FileSystemFileHandle.prototype, "createWritable");
    await NameLens.forgetModels();
    return { refused, inUse, left: await names() };
  }, await prepare(page, demo));
  expect(outcome.refused).toMatch(/^storage: files of models are in use and were not deleted: .*half-a-model/);
  expect(outcome.inUse).toContain("half-a-model");
  expect(outcome.left).toEqual([]);
});

test("without a worker the engine takes no fault of the page for its own", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404|call stack/i);
  const outcome = await page.evaluate(
    async ({ script, one }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const lens = await NameLens.create({ model: "playroom", device: "cpu", threads: 1, storage: "memory", worker: false });
      let hidden: boolean | null = null;
      window.addEventListener("error", (event) => setTimeout(() => (hidden = event.defaultPrevented)));
      const down = (): number => 1 + down();
      const running = lens.caption(bytes(one));
      setTimeout(down);
      const { text } = await running;
      await new Promise((resolve) => setTimeout(resolve, 50));
      const things = await lens.concepts.list();
      await lens.dispose();
      return { text: text.length > 0, hidden, things: things.length };
    },
    await prepare(page, demo),
  );
  expect(outcome).toEqual({ text: true, hidden: false, things: 0 });
});
