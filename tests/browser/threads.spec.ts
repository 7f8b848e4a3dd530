// Threads on the processor, in Chromium: the same answers from one thread and from several, and one thread wherever several cannot be had.

import type { Page } from "@playwright/test";
import { test as plain } from "./builds.js";
import { servePackage } from "./package.js";
import { expect, test, type Demo } from "./page.js";
import { photoBytes, Photos } from "./photos.js";

interface Outcome {
  readonly threads: number;
  readonly caption: string;
  readonly answer: string;
  readonly seen: string;
}

/** What an engine with so many threads says of the album's scene, and finds in a photo. */
async function outcome(page: Page, script: string, scene: string, photo: string, threads: number | "auto"): Promise<Outcome> {
  return page.evaluate(
    async ({ script, scene, photo, threads }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const options = { device: "cpu", storage: "memory", threads } as const;
      const playroom = await NameLens.create({ ...options, model: "playroom" });
      const { raw: caption } = await playroom.caption(bytes(scene));
      const { raw: answer } = await playroom.ask(bytes(scene), "What is in the photo? Say everything that you can see in it, and where.");
      const photos = await NameLens.create({ ...options, model: "photos" });
      const seen = JSON.stringify(await photos.enrolment(bytes(photo)));
      const found = { threads: playroom.info.threads, caption, answer, seen };
      for (const lens of [playroom, photos]) await lens[Symbol.asyncDispose]();
      return found;
    },
    { script, scene, photo, threads },
  );
}

async function prepare(page: Page, demo: Demo): Promise<[script: string, scene: string, photo: string]> {
  await demo.goto();
  const { scene } = await demo.album();
  const photo = (await photoBytes("collie-sofa")).toString("base64");
  return [await servePackage(page), (await demo.albumBytes(scene)).toString("base64"), photo];
}

plain("on a server of plain files the page has several threads from its second visit on, with and without a connection", async ({ page, context, watch }) => {
  const photos = new Photos(page);
  await photos.open();
  await expect(page.locator("#status-device")).toHaveText("CPU, one thread");
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  await page.reload();
  await photos.loaded();
  await expect(page.locator("#status-device")).toHaveText(/^CPU, \d threads$/);
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  watch.allow(/ERR_INTERNET_DISCONNECTED/);
  await context.setOffline(true);
  await page.reload();
  await photos.loaded();
  await expect(page.locator("#status-device")).toHaveText(/^CPU, \d threads$/);
  await context.setOffline(false);
});

plain("a newer build starts under the service worker of the one before", async ({ page, build }) => {
  const photos = new Photos(page);
  await photos.open();
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  Object.assign(build, { number: 1, worker: 0 });
  await page.reload();
  await photos.loaded();
  expect(await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).join())).toContain("index-n1-");
  await expect(page.locator("#status-device")).toHaveText(/^CPU, \d threads$/);
});

test.describe("the package beside the page", () => {
  // A service worker would answer before these tests can.
  test.use({ serviceWorkers: "block" });

  test("several threads say what one says", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker/i);
    const given = await prepare(page, demo);
    const one = await outcome(page, ...given, 1);
    expect(one.threads).toBe(1);
    for (const threads of [2, 3]) expect(await outcome(page, ...given, threads)).toEqual({ ...one, threads });
    const cores = await page.evaluate(() => navigator.hardwareConcurrency);
    expect((await outcome(page, ...given, "auto")).threads).toBe(Math.min(cores, 4));
  });

  test("a page that shares memory with others has one thread, and says so", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker/i);
    const given = await prepare(page, demo);
    await page.route(/\/plain\.html$/, (route) => route.fulfill({ contentType: "text/html", body: "<!doctype html><title>A page</title>" }));
    await page.goto("plain.html");
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    expect((await outcome(page, ...given, 2)).threads).toBe(1);
  });

  test("where a helper does not start there is one thread, and the console says why", async ({ page, demo, context, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    const warned: string[] = [];
    context.on("console", (message) => message.type() === "warning" && warned.push(message.text()));
    const given = await prepare(page, demo);
    let asked = 0;
    // The engine's own worker asks for its script first, and a helper after it.
    await page.route(/\/package\/dist\/worker\.js/, (route) => (asked++ % 2 === 0 ? route.fallback() : route.fulfill({ status: 404 })));
    const found = await outcome(page, ...given, 2);
    expect(found.threads).toBe(1);
    expect(found.caption.length).toBeGreaterThan(10);
    expect(warned.join("\n")).toMatch(/one thread: a thread of the engine could not be started/);
  });

  test("in a worker of the app the engine runs on one thread, and the app's script runs once", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker/i);
    const [script] = await prepare(page, demo);
    const told = await page.evaluate(async (script) => {
      const text = `const { NameLens } = await import(${JSON.stringify(script)});
        const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory", worker: false, threads: 2 });
        postMessage(lens.info.threads);`;
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })), { type: "module" });
      const heard: unknown[] = [];
      worker.onmessage = ({ data }) => heard.push(data);
      while (heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setTimeout(resolve, 500));
      worker.terminate();
      return heard;
    }, script);
    expect(told).toEqual([1]);
  });

  test("a number of threads that makes no sense is refused", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker/i);
    const [script] = await prepare(page, demo);
    const codes = await page.evaluate(async (script) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const said = [0, 1.5, 17, Number.NaN].map((threads) => NameLens.create({ threads }).catch((error: Error & { code?: string }) => error.code));
      return Promise.all(said);
    }, script);
    expect(codes).toEqual(["option", "option", "option", "option"]);
  });
});
