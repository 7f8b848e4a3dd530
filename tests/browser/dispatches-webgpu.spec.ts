// What a token costs the GPU: how often work is handed to it, and how much is read back, counted where the browser is asked for it.

import { type Page } from "@playwright/test";

import { servePackage } from "./package.js";
import { expect, test } from "./page.js";

// A service worker would answer before the test can.
test.use({ serviceWorkers: "block" });

/** Layers of the built-in captioner. */
const LAYERS = 6;
/** Dispatches a layer takes of a token: two norms, three products and the one of the gate, turns into the cache, attention. */
const A_LAYER = 8;
/** What comes before and after the layers: its embedding, the last norm, the head, the tokens in front. */
const AROUND = 4;

/** Bytes read back of a token that is the likeliest: how many were found, the sum of all weights, the token and its logit. */
const LIKELIEST = 16;
/** Of one drawn among fifty, and the token of a photo, which may be among them and is never written: room for twice as many tokens. */
const DRAWN = 8 + 16 * 51;

/** Dispatches of a token that are put together anew, the others are kept from the token before: what finds those in front. */
const ANEW = 1;

/** Put before the worker's own script: counts dispatches and bytes read back, and answers with their numbers. */
const COUNTER = `
  let dispatches = 0;
  let bytes = 0;
  let bindGroups = 0;
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...groups) {
    dispatches += 1;
    return dispatch.apply(this, groups);
  };
  const bind = GPUDevice.prototype.createBindGroup;
  GPUDevice.prototype.createBindGroup = function (...described) {
    bindGroups += 1;
    return bind.apply(this, described);
  };
  const copy = GPUCommandEncoder.prototype.copyBufferToBuffer;
  GPUCommandEncoder.prototype.copyBufferToBuffer = function (...copied) {
    // What is mapped is of a larger buffer that is kept.
    const [, , to, , size] = copied;
    if (to.usage & GPUBufferUsage.MAP_READ) bytes += size;
    return copy.apply(this, copied);
  };
  new BroadcastChannel("costs").onmessage = ({ target }) => target.postMessage({ dispatches, bytes, bindGroups });
`;

/** What was asked of the GPU so far. */
interface Costs {
  readonly dispatches: number;
  /** Read back. */
  readonly bytes: number;
  /** Made for dispatches that are put together anew. */
  readonly bindGroups: number;
}

/** What a page is given to ask the counter. */
interface Counter {
  costs(): Promise<Costs>;
}

/** Serves the package with the counter in its worker, and gives the page a counter; the address of the package's script. */
const counted = async (page: Page): Promise<string> => {
  await page.evaluate(() => {
    const channel = new BroadcastChannel("costs");
    const costs = (): Promise<Costs> =>
      new Promise((resolve) => {
        channel.onmessage = ({ data }) => resolve(data as Costs);
        channel.postMessage("?");
      });
    Object.assign(globalThis, { costs });
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
    const { costs } = globalThis as unknown as Counter;
    const photo = async (colour: string): Promise<Blob> => {
      const canvas = new OffscreenCanvas(96, 96);
      const context = canvas.getContext("2d")!;
      context.fillStyle = colour;
      context.fillRect(20, 20, 50, 50);
      return canvas.convertToBlob();
    };
    const lens = await NameLens.create({ model: "playroom", device: "webgpu", storage: "memory" });
    const answer = async (photo: Blob, question: string): Promise<number> => {
      const before = await costs();
      await lens.ask(photo, question, { maxTokens: 2, sampling: { temperature: 0 } });
      return (await costs()).dispatches - before.dispatches;
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

test("a token takes at most eight dispatches a layer, kept from the one before, and a few bytes are read back, drawn or not", async ({ page, demo }) => {
  await demo.goto();
  const script = await counted(page);
  const taken = await page.evaluate(async (script) => {
    const { NameLens } = (await import(script)) as typeof import("namelens");
    const { costs } = globalThis as unknown as Counter;
    const lens = await NameLens.create({ model: "playroom", device: "webgpu", storage: "memory" });
    const answer = async (maxTokens: number, temperature: number): Promise<Costs & { written: number }> => {
      const before = await costs();
      const { tokens } = await lens.ask(null, "Describe this image.", { maxTokens, sampling: { temperature, topK: 50, seed: 7 } });
      const after = await costs();
      return {
        written: tokens.generated,
        dispatches: after.dispatches - before.dispatches,
        bytes: after.bytes - before.bytes,
        bindGroups: after.bindGroups - before.bindGroups,
      };
    };
    // The first reads the prompt; then two answers differ in their tokens only. Dispatches are kept from the fourth token on.
    await answer(4, 0);
    const greedy = [await answer(4, 0), await answer(8, 0)] as const;
    const drawn = [await answer(4, 0.5), await answer(8, 0.5)] as const;
    await lens[Symbol.asyncDispose]();
    return { greedy, drawn };
  }, script);
  for (const [how, [few, many], room] of [
    ["greedy", taken.greedy, LIKELIEST],
    ["drawn", taken.drawn, DRAWN],
  ] as const) {
    expect([few.written, many.written], how).toEqual([4, 8]);
    const [dispatches, bytes] = [(many.dispatches - few.dispatches) / 4, (many.bytes - few.bytes) / 4];
    const anew = (many.bindGroups - few.bindGroups) / 4;
    console.log(`${how}: ${dispatches} dispatches a token, ${anew} put together anew, ${bytes} bytes read back`);
    expect(dispatches, how).toBeGreaterThan(LAYERS);
    expect(dispatches, how).toBeLessThanOrEqual(LAYERS * A_LAYER + AROUND);
    expect(anew, how).toBeLessThanOrEqual(ANEW);
    expect(bytes, how).toBeGreaterThan(0);
    expect(bytes, how).toBeLessThanOrEqual(room);
  }
});
