// Photo encoders of others, as their authors publish them: refused with what to do until they are measured, then they recognise.

import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import { pickFolder, serveHub, servePackage } from "./package.js";
import { photoPath, Photos } from "./photos.js";
import { expect, test } from "./page.js";

/** A calibration of random weights means nothing; it is there to be read. */
const CALIBRATION = `{"score": 9, "margin": 29, "bias": -7, "lone": {"score": 9, "bias": -7}, "similarity": {"absent": 0.8, "present": 0.9}}`;
const FACTS = /^((Perhaps )?[^.]+ is [^.]+, \d+ % sure\.( |$))+$|^None of your things was found in this photo\.$/;
const repository = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

let parent: string;
test.beforeEach(async () => void (parent = await mkdtemp(join(tmpdir(), "namelens-"))));
test.afterEach(() => rm(parent, { recursive: true }));

/** A small random DINOv2 in a folder, as it is published or measured. */
async function encoder(folder: string, measured: boolean): Promise<string> {
  const to = join(parent, folder);
  await mkdir(to, { recursive: true });
  for (const name of ["config.json", "model.safetensors", "preprocessor_config.json"]) {
    await copyFile(repository(`tests/fixtures/checkpoints/dinov2-registers/${name}`), join(to, name));
  }
  if (measured) await writeFile(join(to, "retrieval.json"), CALIBRATION);
  return to;
}

async function pick(page: Page, folder: string): Promise<void> {
  await page.getByRole("button", { name: "Change the model" }).click();
  await page.getByLabel("Load a model from a folder").setInputFiles(folder);
}

test("a DINOv2 folder says what to do before it can be used; measured, it looks through photos in place of the built-in model", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await pick(page, await encoder("dinov2-small", false));
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("dinov2-small: retrieval.json is missing");
  await expect(alert).toContainText("namelens eval photos --model FOLDER --set PHOTOS --calibrate FOLDER/retrieval.json");
  await alert.getByRole("button", { name: "Back to the built-in model" }).click();
  await photos.loaded();
  await photos.pick();
  await photos.name("Pixel");

  await pick(page, await encoder("dinov2-small", true));
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: dinov2-small, which recognises things and writes no captions/);
  await expect(page.locator("#loading")).toBeHidden();
  await expect(page.locator("#captions")).toContainText("Get a model");
  // The thing is seen anew with these eyes, however little they know.
  await expect(photos.shelf.locator(".tag", { hasText: "Pixel" })).toBeVisible();
  await photos.look([photoPath("collie-sofa"), photoPath("cat-close")]);
  for (const name of ["collie-sofa.jpg", "cat-close.jpg"]) expect(await photos.said(name)).toMatch(FACTS);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

interface Loaded {
  readonly name: string;
  readonly captions: boolean;
  readonly found: number;
}

/** Loads with the package, names a thing and looks for it; an error is its code and message. */
async function load(page: Page, script: string, options: { model: string | null; captioner?: string }): Promise<Loaded | string> {
  return page.evaluate(
    async ({ script, options }) => {
      const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
      const picked = [...((document.querySelector("#picked") as HTMLInputElement | null)?.files ?? [])];
      try {
        const { model, ...more } = options;
        const lens = await NameLens.create({ device: "cpu", storage: "memory", model: model ?? picked, ...more });
        const photo = await (await fetch("album/photos/collie-sofa.jpg")).blob();
        await lens.concepts.add({ name: "Pixel", photo });
        const { retrieved } = await lens.caption(photo, { maxTokens: 2, retrieval: "all" });
        const { name, captions } = lens.info.model;
        await lens.dispose();
        return { name, captions, found: retrieved.filter(({ confidence }) => confidence !== null).length };
      } catch (error) {
        return error instanceof NameLensError ? `${error.code}: ${error.message}` : String(error);
      }
    },
    { script, options },
  );
}

test.describe("the package", () => {
  // A service worker would answer before the test can.
  test.use({ serviceWorkers: "block" });

  test("takes one from a server, alone and beside a captioner, and refuses it as a captioner", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    await demo.goto();
    const script = await servePackage(page);
    const folder = await encoder("dino", true);
    const asked: string[] = [];
    const hub = await serveHub(page, folder, true, (what) => asked.push(what));
    expect(await load(page, script, { model: hub })).toEqual({ name: "org/model", captions: false, found: 1 });
    await page.unroute(/\/org\/model\/resolve\/main\//);
    await page.unroute(/\/api\/models\/org\/model\/tree\/main/);
    expect(asked.filter((what) => what.startsWith("GET")).sort()).toEqual(
      ["config.json", "model.safetensors", "preprocessor_config.json", "retrieval.json"].map((name) => `GET ${name}`),
    );
    asked.length = 0;
    const plain = await serveHub(page, folder, false, (what) => asked.push(what));
    await page.route(/\/smolvlm\//, async (route) => {
      const name = new URL(route.request().url()).pathname.split("/smolvlm/").at(-1) ?? "";
      const body = await readFile(repository(`tests/fixtures/checkpoints/smolvlm/${name}`)).catch(() => null);
      return route.fulfill(body ? { body, contentType: "application/octet-stream" } : { status: 404 });
    });
    expect(await load(page, script, { model: plain, captioner: "smolvlm/" })).toEqual({ name: "smolvlm", captions: true, found: 1 });
    // They are here already.
    expect(asked.filter((what) => what.startsWith("GET"))).toEqual([]);
    expect(await load(page, script, { model: "photos", captioner: plain })).toMatch(/^missing: .*photo encoder.*give it as the model/);
    await rm(join(folder, "retrieval.json"));
    expect(await load(page, script, { model: plain })).toMatch(/^missing: org\/model: retrieval\.json is missing: .*--calibrate/);
  });

  test("takes two encoders in one picked folder, and names the one that was not measured", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    const folder = join(parent, "both");
    await cp(repository("models/photos/retriever"), join(folder, "retriever"), { recursive: true });
    await encoder("both/retriever/dino", true);
    await demo.goto();
    const script = await servePackage(page);
    await pickFolder(page, folder);
    expect(await load(page, script, { model: null })).toEqual({ name: "both", captions: false, found: 1 });
    await rm(join(folder, "retriever/dino/retrieval.json"));
    await page.locator("#picked").setInputFiles(folder);
    expect(await load(page, script, { model: null })).toMatch(/^missing: both: retriever\/dino\/retrieval\.json is missing: .*--calibrate/);
  });
});
