// An engine that dies: out of memory or in a trap, it is said which, and the next call works with all named things.

import type { Page } from "@playwright/test";
import { withMemoryLimit, withTrap } from "./module.js";
import { servePackage } from "./package.js";
import { expect, fixture, test, type Demo } from "./page.js";

const WASM = /\.wasm$/;
/** What the engine may still take when the memory is limited: less than a large photo needs. */
const ROOM = 24e6;

// A service worker would answer before the test can.
test.use({ serviceWorkers: "block" });

/** A photo that decodes to 72 MB, as a PNG of some kilobytes. */
async function largePhoto(page: Page): Promise<Buffer> {
  const data = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(6000, 4000);
    const pen = canvas.getContext("2d");
    if (pen) pen.fillStyle = "teal";
    pen?.fillRect(0, 0, 6000, 4000);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  });
  return Buffer.from(data, "base64");
}

/** The photos of the story as text, for code in the page. */
async function story(page: Page, demo: Demo): Promise<{ thing: string; scene: string; large: string }> {
  const { thing, scene } = await demo.album();
  const [thingBytes, sceneBytes, large] = [await demo.albumBytes(thing), await demo.albumBytes(scene), await largePhoto(page)];
  return { thing: thingBytes.toString("base64"), scene: sceneBytes.toString("base64"), large: large.toString("base64") };
}

/** Bytes the engine holds after the story, without any limit. */
async function needed(page: Page, script: string, photos: { thing: string; scene: string }): Promise<number> {
  return page.evaluate(
    async ({ script, photos, name }) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory" });
      await lens.concepts.add({ name, photo: bytes(photos.thing) });
      await lens.caption(bytes(photos.scene));
      const held = await lens.memory();
      await lens.dispose();
      return held;
    },
    { script, photos, name: fixture.name },
  );
}

for (const storage of ["memory", "indexeddb"] as const) {
  test(`out of memory in the middle of a run, concepts in ${storage}: said as such, and the next call works`, async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    await demo.goto();
    const photos = await story(page, demo);
    const held = await needed(page, await servePackage(page), photos);
    await page.unrouteAll();
    const script = await servePackage(page, (path, body) => withMemoryLimit(path, body, held + ROOM));
    const outcome = await page.evaluate(
      async ({ script, photos, name, storage }) => {
        const { NameLens, NameLensError } = (await import(`${script}?limited`)) as typeof import("namelens");
        const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
        const stages: string[] = [];
        const lens = await NameLens.create({ model: "playroom", device: "cpu", storage, onProgress: ({ stage }) => stages.push(stage) });
        await lens.concepts.add({ name, photo: bytes(photos.thing) });
        const before = (await lens.caption(bytes(photos.scene))).text;
        stages.length = 0;
        const errors: unknown[] = [];
        // The second one waits behind the first, so it goes down with it.
        const runs = [lens.caption(bytes(photos.large)), lens.caption(bytes(photos.scene))];
        for (const run of runs) {
          await run.catch((error: unknown) => errors.push(error instanceof NameLensError ? [error.code, error.message, error.hint] : String(error)));
        }
        const things = (await lens.concepts.list()).map(({ name, photos }) => [name, photos]);
        const after = (await lens.caption(bytes(photos.scene))).text;
        const loaded = stages.includes("model");
        for (const { id } of await lens.concepts.list()) await lens.concepts.remove(id);
        await lens.dispose();
        return { before, after, errors, things, loaded };
      },
      { script, photos, name: fixture.name, storage },
    );
    expect(outcome.before).toBe(fixture.byNameAlone);
    expect(outcome.errors).toHaveLength(2);
    for (const error of outcome.errors) {
      const message = expect.stringMatching(/^the engine ran out of memory: it held \d+ MB and was refused \d+ MB more/);
      expect(error).toEqual(["memory", message, expect.stringContaining("starts anew with the next call")]);
    }
    expect(outcome.things).toEqual([[fixture.name, 1]]);
    expect(outcome.after).toBe(fixture.byNameAlone);
    expect(outcome.loaded).toBe(true);
  });
}

test("a trap is called a fault of the engine, not of memory, and the next call works", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  await demo.goto();
  const photos = await story(page, demo);
  const script = await servePackage(page, (path, body) => (WASM.test(path) ? withTrap(body, "namelensengine_exportBundle") : body));
  const outcome = await page.evaluate(
    async ({ script, photos, name }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const bytes = (text: string): Uint8Array => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
      const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory" });
      await lens.concepts.add({ name, photo: bytes(photos.thing) });
      const codes: unknown[] = [];
      for (let tries = 0; tries < 2; tries += 1) {
        await lens.concepts.export().catch((error: unknown) => codes.push(error instanceof NameLensError ? [error.code, error.message] : String(error)));
      }
      const text = (await lens.caption(bytes(photos.scene))).text;
      await lens.dispose();
      return { codes, text };
    },
    { script, photos, name: fixture.name },
  );
  const told = ["crashed", "the engine stopped at a fault: unreachable"];
  expect(outcome).toEqual({ codes: [told, told], text: fixture.byNameAlone });
});

test("on the page a photo that is too large for the memory is said, and the next one is captioned", async ({ page, demo, watch }) => {
  watch.allow(/service worker|ServiceWorker|404/i);
  await demo.goto();
  const photos = await story(page, demo);
  const held = await needed(page, await servePackage(page), photos);
  await page.route(/\.(wasm|js)$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: withMemoryLimit(route.request().url(), await response.body(), held + ROOM) });
  });
  await demo.open();
  await demo.name(fixture.name);
  const large = { name: "large.png", mimeType: "image/png", buffer: Buffer.from(photos.large, "base64") };
  await demo.run(() => demo.photo.getByLabel("Your photo:").setInputFiles(large));
  await expect(page.getByRole("alert")).toContainText(/memory/i);
  await expect(demo.tag(fixture.name)).toBeVisible();
  expect(await demo.captionScene()).toBe(fixture.text);
  // The fresh engine is told as the first one was.
  await demo.loaded();
  await expect(page.locator("#loading")).toBeHidden();
});
