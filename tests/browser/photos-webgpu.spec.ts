// Real photographs on WebGPU: a thing is proposed, named and found as on the processor.

import type { Browser, Page } from "@playwright/test";
import { overlap, photoPath, Photos, type Box } from "./photos.js";
import { expect, test } from "./page.js";

const NAME = "Pixel";

interface Seen {
  readonly proposed: Box;
  readonly kind: string;
  readonly said: string;
  readonly boxes: readonly Box[];
}

/** A thing is named by one photo and looked for in another, in a browser that has seen nothing yet. */
async function seenOn(device: "cpu" | "webgpu", browser: Browser, baseURL: string): Promise<Seen> {
  const context = await browser.newContext({ baseURL, viewport: { width: 1280, height: 900 }, serviceWorkers: "block" });
  const page: Page = await context.newPage();
  try {
    // The photos that came with the page would be looked through as well, minutes each on a software GPU.
    await page.route(/\/album\/photos\/album\.json/, (route) => route.fulfill({ json: [] }));
    const photos = new Photos(page);
    await page.goto(`./?device=${device}`);
    await photos.loaded();
    await expect(page.locator("html")).toHaveAttribute("data-device", device);
    await photos.show.getByLabel("Your photo:").setInputFiles(photoPath("collie-sofa"));
    await photos.proposed();
    const proposed = await photos.boxed();
    const kind = await page.getByLabel("What kind of thing is it?").inputValue();
    await photos.show.getByLabel("What is it called?").fill(NAME);
    await photos.show.getByRole("button", { name: "Name it" }).click();
    await expect(photos.shelf.locator(".tag", { hasText: NAME })).toBeVisible();
    await photos.settle(() => photos.find.getByLabel("Your photos:").setInputFiles(photoPath("collie-leaves")), 900_000);
    await expect(page.getByRole("alert")).toHaveCount(0);
    return { proposed, kind, said: await photos.said("collie-leaves.jpg"), boxes: await photos.sure("collie-leaves.jpg") };
  } finally {
    await context.close();
  }
}

/** How sure a sentence is, percent. */
const sure = (said: string): number => Number(/(\d+) % sure/.exec(said)?.[1]);
const without = (said: string): string => said.replace(/\d+ %/g, "%");

test("what is named, where it is found and how sure that is are the same on WebGPU and on the processor", async ({ browser, baseURL }) => {
  const cpu = await seenOn("cpu", browser, baseURL ?? "");
  const gpu = await seenOn("webgpu", browser, baseURL ?? "");
  expect(gpu.kind).toBe(cpu.kind);
  expect(without(gpu.said)).toBe(without(cpu.said));
  expect(gpu.said).toContain(`${NAME} (${cpu.kind}) is `);
  // Sums are added in another order, so a confidence may be rounded the other way, and a box end at the next cell's tenth.
  expect(Math.abs(sure(gpu.said) - sure(cpu.said))).toBeLessThanOrEqual(1);
  expect(gpu.boxes).toHaveLength(1);
  for (const [one, other] of [[gpu.proposed, cpu.proposed], [gpu.boxes[0], cpu.boxes[0]]] as const) {
    expect(overlap(one ?? [0, 0, 0, 0], other ?? [0, 0, 0, 0])).toBeGreaterThan(0.97);
  }
});
