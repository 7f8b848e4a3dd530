// Which files are a model is the engine's to say: folders with a retriever, GGUF alone under the hub's names, split ones, adapters.

import { copyFile, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import { pickFolder, modelFolder, said, serveHub, servePackage } from "./package.js";
import { expect, test } from "./page.js";

async function pick(page: Page, folder: string): Promise<void> {
  await page.getByRole("button", { name: "Change the model" }).click();
  await page.getByLabel("Load a model from a folder").setInputFiles(folder);
}

/** What each form's files call the family: a projector's file has one word for both of the older ones. */
const FAMILIES = { retriever: "SmolVLM", hub: "Idefics3", split: "Idefics3" } as const;

for (const [form, what] of [
  ["retriever", "a folder with a SigLIP retriever, which prepares photos its own way"],
  ["hub", "two GGUF files under the hub's names and nothing else"],
  ["split", "a GGUF in three parts"],
] as const) {
  test(`${what}: says in the browser what it says natively`, async ({ page, demo }) => {
    await demo.open();
    await demo.name("Miso");
    await pick(page, modelFolder(form));
    await expect(page.locator("#model-loaded")).toHaveText(new RegExp(`^Loaded: ${form}, of the ${FAMILIES[form]} family`));
    await expect(page.locator("#loading")).toBeHidden();
    expect(await demo.captionScene()).toBe(await said(form));
    if (form === "retriever") await expect(demo.photo.locator(".why-rows .tag", { hasText: "Miso" })).toBeVisible();
  });
}

test("two projectors: the error lists them, and the page lives on", async ({ page, demo }) => {
  await demo.open();
  await pick(page, modelFolder("two"));
  const names = /two: option `mmproj`: choose one of mmproj-SmolVLM-256M-Instruct-BF16\.gguf, mmproj-SmolVLM-256M-Instruct-f16\.gguf/;
  await expect(page.getByRole("alert")).toHaveText(names);
  await page.getByRole("alert").getByRole("button", { name: "Back to the built-in model" }).click();
  await demo.loaded();
});

test("a part of a split model that is missing is named", async ({ page, demo }) => {
  const folder = join(await mkdtemp(join(tmpdir(), "namelens-")), "split");
  try {
    await cp(modelFolder("split"), folder, { recursive: true });
    await rm(join(folder, "Model-f16-00002-of-00003.gguf"));
    await demo.open();
    await pick(page, folder);
    await expect(page.getByRole("alert")).toContainText("Model-f16-00002-of-00003.gguf is missing: the model is in 3 files");
  } finally {
    await rm(join(folder, ".."), { recursive: true });
  }
});

test.describe("from an address", () => {
  // A service worker would answer before the test can.
  test.use({ serviceWorkers: "block" });

  for (const [form, lists] of [["retriever", true], ["retriever", false], ["hub", true]] as const) {
    test(`${form} from a server that ${lists ? "lists its files" : "must be asked for each"}`, async ({ page, demo, watch }) => {
      watch.allow(/service worker|ServiceWorker|404/i);
      const asked: string[] = [];
      const address = await serveHub(page, modelFolder(form), lists, (what) => asked.push(what));
      await page.goto(`./?room=playroom&device=cpu&model=${address}`);
      await expect(page.locator("#model-loaded")).toHaveText(new RegExp(`^Loaded: org/model, of the ${FAMILIES[form]} family`));
      await expect(page.locator("#loading")).toBeHidden();
      await demo.name("Miso");
      expect(await demo.captionScene()).toBe(await said(form));
      expect(asked[1]).toBe("list");
      // What a list does not have is not asked for.
      const heads = asked.filter((what) => what.startsWith("HEAD") && !what.endsWith("manifest.json"));
      if (lists && form === "hub") expect(heads.length).toBe(2);
    });
  }

  const LOAD = async (page: Page, script: string, options: object): Promise<unknown> =>
    page.evaluate(
      async ({ script, options }) => {
        const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
        try {
          const lens = await NameLens.create({ device: "cpu", storage: "memory", ...options });
          const { name, family } = lens.info.model;
          await lens[Symbol.asyncDispose]();
          return { name, family };
        } catch (error) {
          return error instanceof NameLensError ? { code: error.code, message: error.message } : String(error);
        }
      },
      { script, options },
    );

  test("the address of a GGUF file finds its projector and its parts on a server that lists nothing", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    await demo.goto();
    const script = await servePackage(page);
    for (const [form, file] of [["hub", "SmolVLM-256M-Instruct-f16.gguf"], ["split", "Model-f16-00001-of-00003.gguf"]] as const) {
      const address = await serveHub(page, modelFolder(form), false);
      expect(await LOAD(page, script, { model: address + file })).toMatchObject({ name: "org/model", family: "idefics3" });
      await page.unroute(/\/org\/model\/resolve\/main\//);
    }
  });

  test("of two projectors the chosen one is taken; without a choice, or with a wrong one, all are listed", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    await demo.goto();
    const script = await servePackage(page);
    const asked: string[] = [];
    const model = await serveHub(page, modelFolder("two"), true, (what) => asked.push(what));
    const both = "mmproj-SmolVLM-256M-Instruct-BF16.gguf, mmproj-SmolVLM-256M-Instruct-f16.gguf";
    expect(await LOAD(page, script, { model })).toEqual({ code: "option", message: `org/model: option \`mmproj\`: choose one of ${both}` });
    expect(asked.filter((what) => what.startsWith("GET"))).toEqual([]);
    const mmproj = "mmproj-SmolVLM-256M-Instruct-BF16.gguf";
    expect(await LOAD(page, script, { model, mmproj })).toMatchObject({ family: "idefics3" });
    expect(asked.filter((what) => what.startsWith("GET")).sort()).toEqual(["GET SmolVLM-256M-Instruct-f16.gguf", `GET ${mmproj}`]);
    expect(await LOAD(page, script, { model, mmproj: "other.gguf" })).toMatchObject({
      code: "option",
      message: expect.stringContaining("`other.gguf` is not in the folder; there are: SmolVLM-256M-Instruct-f16.gguf"),
    });
  });
});

test("adapters of a picked folder are loaded with it, and one of them can be chosen", async ({ page, demo }) => {
  const parent = await mkdtemp(join(tmpdir(), "namelens-"));
  try {
    const folder = join(parent, "smolvlm");
    const checkpoint = fileURLToPath(new URL("../fixtures/checkpoints/smolvlm", import.meta.url));
    await cp(checkpoint, folder, { recursive: true, filter: (path) => !/goldens|logits/.test(path) });
    // One that is no adapter yet is not in the way.
    await mkdir(join(folder, "adapters/half"));
    await copyFile(join(folder, "adapters/wide/adapter_config.json"), join(folder, "adapters/half/adapter_config.json"));
    await demo.goto();
    const script = await servePackage(page);
    await pickFolder(page, folder);
    const found = await page.evaluate(async (script) => {
      const { NameLens } = (await import(script)) as typeof import("namelens");
      const files = [...((document.querySelector("#picked") as HTMLInputElement).files ?? [])];
      const lens = await NameLens.create({ model: files, device: "cpu", storage: "memory", adapter: "wide" });
      const { names, active } = lens.adapters;
      await lens.dispose();
      return { names, active };
    }, script);
    expect(found).toEqual({ names: ["narrow", "wide"], active: "wide" });
  } finally {
    await rm(parent, { recursive: true });
  }
});
