// A newer build comes while a page of an older one is open: that page goes on, with and without a connection, though the server has forgotten its files.

import type { Page } from "@playwright/test";
import { test, type Build } from "./builds.js";
import { expect, type Watch } from "./page.js";
import { Photos } from "./photos.js";

/** Opens the page, and waits until it keeps itself. */
async function open(photos: Photos): Promise<void> {
  await photos.open();
  await expect(photos.page.locator("#status-offline")).toHaveText("Works offline");
}

/** Has the browser look for a newer service worker. Resolves to what became of that: `activated`, or `redundant` when it could not keep all. */
async function update(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    const worker = registration.installing;
    if (!worker) throw new Error("the browser found no newer service worker");
    while (!["activated", "redundant"].includes(worker.state)) await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
    return worker.state;
  });
}

/** Starts the engine of the open page once more. */
async function startAnew(photos: Photos, device: "cpu" | "auto"): Promise<void> {
  await photos.page.getByLabel("Runs on").selectOption(device);
  await photos.loaded();
  await expect(photos.page.getByRole("alert")).toHaveCount(0);
}

/** How many caches the page has, and of which builds the scripts in them are. */
async function kept(page: Page): Promise<[caches: number, builds: string[]]> {
  const [count, urls] = await page.evaluate(async () => {
    const names = await caches.keys();
    const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
    return [names.length, requests.flat().map(({ url }) => url)] as const;
  });
  const builds = urls.map((url) => /\/host(-n\d)?-[\w-]{8}\.js$/.exec(url)).flatMap((found) => (found ? [found[1] ?? "-n0"] : []));
  return [count, builds.sort()];
}

async function offline(photos: Photos, watch: Watch, then: () => Promise<void>): Promise<void> {
  watch.allow(/ERR_INTERNET_DISCONNECTED/);
  await photos.page.context().setOffline(true);
  await then();
  await photos.page.context().setOffline(false);
}

const next = (build: Build, number: number): unknown => Object.assign(build, { number });

test("an open page starts its engine again after a newer build came, and what is older goes with the one after", async ({ page, build, watch }) => {
  const photos = new Photos(page);
  await open(photos);
  next(build, 1);
  expect(await update(page)).toBe("activated");
  await startAnew(photos, "cpu");
  await offline(photos, watch, () => startAnew(photos, "auto"));
  expect(await kept(page)).toEqual([2, ["-n0", "-n1"]]);

  await page.reload();
  await photos.loaded();
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  next(build, 2);
  expect(await update(page)).toBe("activated");
  expect(await kept(page)).toEqual([2, ["-n1", "-n2"]]);
  await offline(photos, watch, () => startAnew(photos, "cpu"));
});

test("a build that could not be kept whole takes the place of none", async ({ page, build, watch }) => {
  watch.allow(/404/);
  const photos = new Photos(page);
  await open(photos);
  Object.assign(build, { number: 1, without: "/icon.svg" });
  expect(await update(page)).toBe("redundant");
  Object.assign(build, { number: 2, without: undefined });
  expect(await update(page)).toBe("activated");
  expect(await kept(page)).toEqual([2, ["-n0", "-n2"]]);
  await offline(photos, watch, () => startAnew(photos, "cpu"));
});
