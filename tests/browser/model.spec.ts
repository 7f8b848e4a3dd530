// The model on its way: damaged downloads and damaged caches are noticed, said, and recovered from.

import { expect, fixture, test } from "./page.js";

const WEIGHTS = /\.(safetensors|gguf)$/;

test.describe("downloads", () => {
  // A service worker would answer before the test can.
  test.use({ serviceWorkers: "block" });

  test("a damaged download is refused, and the next try loads the model", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker/i);
    const tries = new Map<string, number>();
    await page.route(WEIGHTS, async (route) => {
      const url = route.request().url();
      tries.set(url, (tries.get(url) ?? 0) + 1);
      const response = await route.fetch();
      const body = await response.body();
      body[100] = (body[100] ?? 0) ^ 1;
      await route.fulfill({ response, body });
    });
    await demo.goto();
    await expect(page.getByRole("alert")).toContainText("The download is damaged");
    // Files come side by side; the one that failed was tried once, and once past the HTTP cache.
    await page.unrouteAll({ behavior: "wait" });
    expect(Math.max(...tries.values())).toBe(2);
    await page.getByRole("button", { name: "Try again" }).click();
    await demo.loaded();
  });

  test("a model that is not there is an error the page survives", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404|ERR_FAILED/i);
    await page.route(WEIGHTS, (route) => route.fulfill({ status: 404 }));
    await demo.goto();
    await expect(page.getByRole("alert")).toContainText("The model could not be fetched");
    await demo.things.locator(".thumb").first().click();
    await page.getByLabel("What is it called?").fill("Early");
    await page.keyboard.press("Enter");
    await expect(page.locator("#notices").getByRole("alert")).toBeVisible();
    await page.unroute(WEIGHTS);
    await page.getByRole("button", { name: "Try again" }).click();
    await demo.loaded();
  });
});

test("a damaged cache is fetched again without a word", async ({ page, demo }) => {
  await demo.open();
  const spoilt = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("namelens-models");
    let count = 0;
    for await (const [name, handle] of folder.entries()) {
      if (name.startsWith("manifest-")) continue;
      const file = handle as FileSystemFileHandle;
      const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 255;
      const writable = await file.createWritable();
      await writable.write(bytes);
      await writable.close();
      count += 1;
    }
    return count;
  });
  expect(spoilt).toBeGreaterThan(0);
  await page.reload();
  await demo.loaded();
  await demo.name(fixture.name);
  // Weights that are whole write what they write everywhere.
  expect(await demo.captionScene()).toBe(fixture.text);
});

test("a model from another origin is refused: nothing may leave this one", async ({ page }) => {
  await page.goto("./?model=https://elsewhere.example/model/");
  await expect(page.getByRole("alert")).toContainText("must lie beside this page");
});

test("the second visit fetches no weights", async ({ page, demo }) => {
  await demo.open();
  const fetched: string[] = [];
  page.on("request", (request) => {
    if (WEIGHTS.test(request.url())) fetched.push(request.url());
  });
  await page.reload();
  await demo.loaded();
  expect(fetched).toEqual([]);
});

test("two tabs see the same things, and what one does takes neither focus nor words from the other", async ({ context, page, demo }) => {
  await demo.open();
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.locator("html")).toHaveAttribute("data-device", demo.device);
  const shelf = other.locator("#shelf");
  await demo.name("Miso");
  await expect(shelf.locator(".tag", { hasText: "Miso" })).toBeVisible();
  await shelf.getByRole("button", { name: "Edit Miso" }).focus();
  await demo.name("Bo", 1);
  await expect(shelf.locator(".tag", { hasText: "Bo" })).toBeVisible();
  await expect(shelf.getByRole("button", { name: "Edit Miso" })).toBeFocused();
  await other.keyboard.press("Enter");
  await other.keyboard.press("End");
  await other.keyboard.type("shi");
  await demo.shelf.getByRole("button", { name: "Delete Bo" }).click();
  await expect(shelf.locator(".tag", { hasText: "Bo" })).toHaveCount(0);
  await other.keyboard.type("ru");
  await expect(shelf.getByLabel("Name", { exact: true })).toHaveValue("Misoshiru");
  await demo.shelf.getByRole("button", { name: "Delete Miso" }).click();
  await expect(other.locator("#shelf .tag")).toHaveCount(0);
});
