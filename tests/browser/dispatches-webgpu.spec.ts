// What a token costs the GPU: how often work is handed to it, counted where the browser is asked for it.

import { type Page } from "@playwright/test";

import { servePackage } from "./package.js";
import { expect, test } from "./page.js";

// A service worker would answer before the test can.
test.use({ serviceWorkers: "block" });

/** Layers of the built-in captioner. */
const LAYERS = 6;
/** Dispatches a layer takes of a token: two norms, three products and the one of the gate, turns into the cache, attention. */
const A_LAYER = 8;
/** What comes before and after the layers: its embedding, cosines and sines of its position, the last norm, the head, the likeliest token. */
const AROUND = 6;

/** Put before the worker's own script: counts dispatches, and answers with their number. */
const COUNTER = `
  let dispatches = 0;
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...groups) {
    dispatches += 1;
    return dispatch.apply(this, groups);
  };
  new BroadcastChannel("dispatches").onmessage = ({ target }) => target.postMessage(dispatches);
`;

/** What a page is given to ask the counter. */
interface Counter {
  /** Dispatches so far. */
  dispatches(): Promise<number>;
}

/** Serves the package with the counter in its worker, and gives the page a counter; the address of the package's script. */
const counted = async (page: Page): Promise<string> => {
  await page.evaluate(() => {
    const channel = new BroadcastChannel("dispatches");
    const dispatches = (): Promise<number> =>
      new Promise((resolve) => {
        channel.onmessage = ({ data }) => resolve(data as number);
        channel.postMessage("?");
      });
    Object.assign(globalThis, { dispatches });
  });
  return servePackage(page, (path, body) => (path === "dist/worker.js" ? Buffer.concat([Buffer.from(COUNTER), body]) : body));
};

/** Layers of its tower. */
const TOWER_LAYERS = 4;
/** Dispatches a layer takes of a photo: two norms, queries, keys and values, attention, and the three products behind it. */
const A_TOWER_LAYER = 9;
/** What comes before and after the tower's layers: patches, their positions, the last norm, the connector. */
const AROUND_TOWER = 14;

test("a photo takes at most nine dispatches a layer", async ({ page, demo }) => {
  await demo.goto();
  const taken = await page.evaluate(async (script) => {
    const { NameLens } = (await import(script)) as typeof import("namelens");
    const { dispatches } = globalThis as unknown as Counter;
    const photo = async (colour: string): Promise<Blob> => {
      const canvas = new OffscreenCanvas(96, 96);
      const context = canvas.getContext("2d")!;
      context.fillStyle = colour;
      context.fillRect(20, 20, 50, 50);
      return canvas.convertToBlob();
    };
    const lens = await NameLens.create({ model: "playroom", device: "webgpu", storage: "memory" });
    const answer = async (photo: Blob, question: string): Promise<number> => {
      const before = await dispatches();
      await lens.ask(photo, question, { maxTokens: 2, sampling: { temperature: 0 } });
      return (await dispatches()) - before;
    };
    const [red, blue] = [await photo("red"), await photo("blue")];
    await answer(red, "Describe this image.");
    // Of a photo that is new, and of one that was seen: the decoder has as many operations for a long prompt as for a short one.
    const [seen, again] = [await answer(blue, "Describe this image."), await answer(blue, "What is in this image?")];
    await lens[Symbol.asyncDispose]();
    return seen - again;
  }, await counted(page));
  console.log(`dispatches a photo: ${taken}`);
  expect(taken).toBeGreaterThan(TOWER_LAYERS);
  expect(taken).toBeLessThanOrEqual(TOWER_LAYERS * A_TOWER_LAYER + AROUND_TOWER);
});

test("a token takes at most eight dispatches a layer", async ({ page, demo }) => {
  await demo.goto();
  const script = await counted(page);
  const taken = await page.evaluate(async (script) => {
    const { NameLens } = (await import(script)) as typeof import("namelens");
    const { dispatches } = globalThis as unknown as Counter;
    const lens = await NameLens.create({ model: "playroom", device: "webgpu", storage: "memory" });
    const answer = async (maxTokens: number): Promise<{ written: number; dispatches: number }> => {
      const before = await dispatches();
      const { tokens } = await lens.ask(null, "Describe this image.", { maxTokens, sampling: { temperature: 0 } });
      return { written: tokens.generated, dispatches: (await dispatches()) - before };
    };
    // The first reads the prompt; then two answers differ in their tokens only.
    await answer(2);
    const [few, many] = [await answer(2), await answer(6)];
    await lens[Symbol.asyncDispose]();
    return { few, many };
  }, script);
  expect([taken.few.written, taken.many.written]).toEqual([2, 6]);
  const each = (taken.many.dispatches - taken.few.dispatches) / 4;
  test.info().annotations.push({ type: "dispatches a token", description: String(each) });
  console.log(`dispatches a token: ${each}`);
  expect(each).toBeGreaterThan(LAYERS);
  expect(each).toBeLessThanOrEqual(LAYERS * A_LAYER + AROUND);
});
