// A model beside the one for photos, on WebGPU: one module of the engine is fetched, and that one is there without a connection.

import { expect, ID, test } from "./downloads.js";
import { Photos } from "./photos.js";

test("with a downloaded model the room of photos opens without a connection, by the one module that it runs on", async ({ page, downloads, context, watch }) => {
  watch.allow(/ERR_INTERNET_DISCONNECTED/);
  const fetched = new Set<string>();
  context.on("request", (request) => {
    const module = /namelens_\w+?_bg/.exec(request.url());
    if (module) fetched.add(module[0]);
  });
  await downloads.open();
  await downloads.start();
  await downloads.ready();
  const photos = new Photos(page);
  await page.goto(`./?device=webgpu#model=${ID}`);
  await photos.loaded();
  await expect(page.locator("html")).toHaveAttribute("data-device", "webgpu");
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  expect([...fetched]).toEqual(["namelens_webgpu_bg"]);
  await context.setOffline(true);
  await page.reload();
  await photos.loaded();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: SmolVLM-256M-Instruct/);
  await expect(page.locator("html")).toHaveAttribute("data-device", "webgpu");
  await context.setOffline(false);
});
