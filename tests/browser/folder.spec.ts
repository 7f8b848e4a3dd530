// Other models than the built-in one: from a folder of the visitor, from an address, in pieces, broken off, stopped.

import { appendFile, cp, mkdtemp, open, readFile, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import AxeBuilder from "@axe-core/playwright";
import type { Page, Route } from "@playwright/test";
import { expect, fixture, test, type Demo } from "./page.js";

const checkpoint = (name: string): string => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));

const copies: string[] = [];
test.afterEach(async () => {
  for (const folder of copies.splice(0)) await rm(folder, { recursive: true });
});

/** The checkpoint without its golden files, spoilt by `spoil`; gone after the test. */
async function copy(name: string, spoil: (folder: string) => Promise<void>): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), "namelens-"));
  copies.push(parent);
  const folder = join(parent, name);
  await cp(checkpoint(name), folder, { recursive: true, filter: (path) => !/goldens|adapters|legacy/.test(path) });
  await spoil(folder);
  return folder;
}

async function openDialog(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Change the model" }).click();
}

async function pick(page: Page, folder: string): Promise<void> {
  await openDialog(page);
  await page.getByLabel("Load a model from a folder").setInputFiles(folder);
}

/** Waits for the model and reads what the dialog says of it. */
async function loadedAs(page: Page, words: RegExp): Promise<void> {
  await expect(page.locator("#model-loaded")).toHaveText(words);
  await expect(page.locator("#loading")).toBeHidden();
}

/** The model writes something: its weights are random, so any words will do. */
async function writes(demo: Demo): Promise<void> {
  await demo.captionScene();
  await expect(demo.page.getByRole("alert")).toHaveCount(0);
  await expect(demo.page.locator("#status-speed")).toContainText("tokens/s");
}

for (const [name, family] of [["smolvlm", "SmolVLM"], ["qwen2_5_vl", "Qwen2.5-VL"]] as const) {
  test(`${family} from a folder, and back to the built-in model`, async ({ page, demo }) => {
    await demo.open();
    await pick(page, checkpoint(name));
    await loadedAs(page, new RegExp(`^Loaded: ${name}, of the ${family} family, .* parameters, .* on the processor`));
    await expect(page.locator("#status-model")).toContainText(name);
    await writes(demo);
    // Without a retriever a thing counts when a question names it.
    await demo.name("Miso");
    await page.getByLabel("Ask about this photo").fill("Is <Miso> here?");
    await demo.run(() => demo.photo.getByRole("button", { name: "Ask", exact: true }).click());
    await expect(page.getByRole("alert")).toHaveCount(0);
    await expect(demo.photo.locator(".why-rows .tag", { hasText: "Miso" })).toBeVisible();

    await openDialog(page);
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id }) => id)).toEqual([]);
    await page.getByRole("button", { name: "Back to the built-in model" }).click();
    await loadedAs(page, /^Loaded: namelens-playroom/);
    await demo.shelf.getByRole("button", { name: "Delete Miso" }).click();
    await demo.name(fixture.name);
    expect(await demo.captionScene()).toBe(fixture.text);
  });
}

const DAMAGES: [what: string, spoil: (folder: string) => Promise<void>, words: RegExp][] = [
  [
    "a missing shard",
    (folder) => rm(join(folder, "model-00002-of-00003.safetensors")),
    /A file of the model is missing.*model-00002-of-00003\.safetensors is missing: the model is in 3 files/s,
  ],
  [
    "a shard that is cut off",
    (folder) => truncate(join(folder, "model-00002-of-00003.safetensors"), 50_000),
    /The model could not be opened.*model-00002-of-00003\.safetensors/s,
  ],
  ["no config.json", (folder) => rm(join(folder, "config.json")), /config\.json is missing: /],
];

for (const [what, spoil, words] of DAMAGES) {
  test(`a folder with ${what} is refused in plain words, and the page lives on`, async ({ page, demo }) => {
    await demo.open();
    await pick(page, await copy("smolvlm", spoil));
    await expect(page.getByRole("alert")).toHaveText(words);
    await page.getByRole("alert").getByRole("button", { name: "Back to the built-in model" }).click();
    await loadedAs(page, /^Loaded: namelens-playroom/);
    await demo.name(fixture.name);
    expect(await demo.captionScene()).toBe(fixture.text);
  });
}

test("weights that lie beyond 4 GiB are read where they lie", async ({ page, demo }) => {
  const folder = await copy("qwen2_5_vl", spread);
  await demo.open();
  await pick(page, folder);
  await loadedAs(page, /^Loaded: qwen2_5_vl, .* 4\d\d\d MB, on the processor/);
  await writes(demo);
});

/** Moves the tensors of model.safetensors behind one of a foreign type, which no model asks for; the file has a hole there. */
async function spread(folder: string): Promise<void> {
  const path = join(folder, "model.safetensors");
  const before = await readFile(path);
  const length = Number(before.readBigUInt64LE());
  const hole = 4_400_000_000;
  type Entry = { dtype: string; shape: number[]; data_offsets: [number, number] };
  const header = JSON.parse(before.toString("utf8", 8, 8 + length)) as Record<string, Entry>;
  for (const [name, { data_offsets: ends }] of Object.entries(header).filter(([name]) => name !== "__metadata__")) {
    (header[name] as Entry).data_offsets = [ends[0] + hole, ends[1] + hole];
  }
  const text = Buffer.from(JSON.stringify({ hole: { dtype: "HOLE", shape: [4400, 1_000_000], data_offsets: [0, hole] }, ...header }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, "w");
  await file.write(Buffer.concat([size, text]), 0, 8 + text.length, 0);
  const data = before.subarray(8 + length);
  await file.write(data, 0, data.length, 8 + text.length + hole);
  await file.close();
}

test("a file that changes after it was chosen is said, not misread", async ({ page, demo }) => {
  const folder = await copy("smolvlm", async () => undefined);
  await demo.open();
  await pick(page, folder);
  await loadedAs(page, /^Loaded: smolvlm/);
  await appendFile(join(folder, "model-00002-of-00003.safetensors"), "more");
  await page.getByLabel("Runs on").selectOption("cpu");
  await expect(page.getByRole("alert")).toHaveText(/A file of the model cannot be read.*model-00002-of-00003\.safetensors.*choose it again/s);
});

test("a dropped folder is a model, wherever it is dropped", async ({ page, demo }) => {
  await demo.open();
  const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json", "generation_config.json", "chat_template.jinja", "model.safetensors"];
  const files = await Promise.all(names.map(async (name) => [name, (await readFile(join(checkpoint("qwen2_5_vl"), name))).toString("base64")] as const));
  // No script may make a drop with a folder in it, so the one that a drop carries is played.
  await page.evaluate((files) => {
    const entries = files.map(([name, data]) => ({
      isFile: true,
      fullPath: `/dropped/${name}`,
      file: (give: (file: File) => void) => give(new File([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], name)),
    }));
    const folder = {
      isDirectory: true,
      createReader: () => {
        const batches = [entries.slice(0, 3), entries.slice(3), []];
        return { readEntries: (give: (entries: unknown) => void) => give(batches.shift()) };
      },
    };
    const drop = new DragEvent("drop", { bubbles: true, cancelable: true });
    const transfer = { types: ["Files"], files: [], items: [{ webkitGetAsEntry: () => folder }] };
    Object.defineProperty(drop, "dataTransfer", { value: transfer });
    document.querySelector("main")?.dispatchEvent(drop);
  }, files);
  await loadedAs(page, /^Loaded: dropped, of the Qwen2\.5-VL family/);
  await writes(demo);
});

test.describe("from an address", () => {
  // A service worker would answer before the test can.
  test.use({ serviceWorkers: "block" });

  const ADDRESS = "./?room=playroom&device=cpu&model=models/smolvlm/";
  const SHARD = "model-00002-of-00003.safetensors";

  /** Serves a checkpoint beside the page as a static server does; `meddle` may answer a request instead. */
  async function serve(page: Page, meddle: (name: string, range: string | null, body: Buffer, route: Route) => Promise<boolean>): Promise<void> {
    await page.route(/\/models\/smolvlm\//, async (route) => {
      const request = route.request();
      const name = new URL(request.url()).pathname.split("/models/smolvlm/").at(-1) ?? "";
      const body = await readFile(join(checkpoint("smolvlm"), name)).catch(() => null);
      if (!body) return route.fulfill({ status: 404 });
      const headers = { etag: `"${body.length}"`, "content-type": "application/octet-stream", "accept-ranges": "bytes" };
      if (request.method() === "HEAD") return route.fulfill({ headers: { ...headers, "content-length": String(body.length) } });
      const range = (await request.allHeaders())["range"] ?? null;
      if (await meddle(name, range, body, route)) return;
      await route.fulfill(part(body, range, headers, body.length));
    });
  }

  /** The answer to a range request whose body ends at `until`. */
  function part(body: Buffer, range: string | null, headers: Record<string, string>, until: number) {
    if (!range) return { headers, body };
    const from = Number(/^bytes=(\d+)-$/.exec(range)?.[1]);
    const span = `bytes ${from}-${body.length - 1}/${body.length}`;
    return { status: 206, headers: { ...headers, "content-range": span }, body: body.subarray(from, until) };
  }

  test("a connection that breaks off is gone on with, and the next visit fetches nothing", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    const ranges: (string | null)[] = [];
    const fetched: string[] = [];
    await serve(page, async (name, range, body, route) => {
      fetched.push(name);
      if (name !== SHARD) return false;
      ranges.push(range);
      if (ranges.length > 1) return false;
      await route.fulfill(part(body, range, { etag: `"${body.length}"` }, 40_000));
      return true;
    });
    await page.goto(ADDRESS);
    await loadedAs(page, /^Loaded: smolvlm, of the SmolVLM family/);
    expect(ranges).toEqual(["bytes=0-", "bytes=40000-"]);
    await writes(demo);
    fetched.length = 0;
    await page.reload();
    await loadedAs(page, /^Loaded: smolvlm/);
    expect(fetched.filter((name) => name.endsWith(".safetensors"))).toEqual([]);
  });

  test("loading can be stopped, and a later visit goes on from there", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404|ERR_FAILED/i);
    const ranges: (string | null)[] = [];
    await serve(page, async (name, range, body, route) => {
      if (name !== SHARD) return false;
      ranges.push(range);
      if (ranges.length === 1) {
        await route.fulfill(part(body, range, { etag: `"${body.length}"` }, 50_000));
        return true;
      }
      return ranges.length === 2; // never answered
    });
    await page.goto(ADDRESS);
    await expect.poll(() => ranges.length).toBe(2);
    await page.getByRole("button", { name: "Stop loading" }).click();
    await expect(page.getByRole("alert")).toContainText("Loading was stopped");
    await page.reload();
    await loadedAs(page, /^Loaded: smolvlm/);
    expect(ranges).toEqual(["bytes=0-", "bytes=50000-", "bytes=50000-"]);
    await writes(demo);
  });

  /** The package itself beside the page, as a stranger's app would have it. */
  async function servePackage(page: Page): Promise<string> {
    await page.route(/\/package\//, async (route) => {
      const path = new URL(route.request().url()).pathname.split("/package/").at(-1) ?? "";
      const body = await readFile(fileURLToPath(new URL(`../../wasm-pkg/npm/${path}`, import.meta.url)));
      const type = { js: "text/javascript", wasm: "application/wasm" }[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
      const headers = { "content-type": type, "cross-origin-embedder-policy": "require-corp" };
      await route.fulfill({ headers, body });
    });
    return new URL("package/dist/index.js", page.url()).href;
  }

  test("without a worker a model is loaded into memory, and resumed and kept all the same", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    const ranges: (string | null)[] = [];
    await serve(page, async (name, range, body, route) => {
      if (name !== SHARD) return false;
      ranges.push(range);
      if (ranges.length > 1) return false;
      await route.fulfill(part(body, range, { etag: `"${body.length}"` }, 40_000));
      return true;
    });
    await demo.goto();
    const script = await servePackage(page);
    const load = () =>
      page.evaluate(async (script) => {
        const { NameLens } = (await import(script)) as typeof import("namelens");
        const stages = new Set<string>();
        const lens = await NameLens.create({
          model: "models/smolvlm/",
          device: "cpu",
          worker: false,
          storage: "memory",
          onProgress: ({ stage }) => stages.add(stage),
        });
        const { family, name, bytes } = lens.info.model;
        await lens.dispose();
        return { family, name, bytes, stages: [...stages] };
      }, script);
    expect(await load()).toMatchObject({ family: "smolvlm", name: "smolvlm", stages: expect.arrayContaining(["download"]) });
    expect(ranges).toEqual(["bytes=0-", "bytes=40000-"]);
    await load();
    expect(ranges).toHaveLength(2);
  });

  test("a folder handle goes to the worker, and loading ends at once when it is aborted", async ({ page, demo, watch }) => {
    watch.allow(/service worker|ServiceWorker|404|ERR_FAILED/i);
    await serve(page, async (name) => name === SHARD); // never answered
    await demo.goto();
    const script = await servePackage(page);
    const names = ["config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json", "generation_config.json", "chat_template.jinja", "model.safetensors"];
    const files = await Promise.all(names.map(async (name) => [name, (await readFile(join(checkpoint("qwen2_5_vl"), name))).toString("base64")] as const));
    const outcome = await page.evaluate(
      async ({ script, files }) => {
        const { NameLens, NameLensError } = (await import(script)) as typeof import("namelens");
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
        for (const [name, data] of files) {
          const writable = await (await folder.getFileHandle(name, { create: true })).createWritable();
          await writable.write(Uint8Array.from(atob(data), (char) => char.charCodeAt(0)));
          await writable.close();
        }
        const lens = await NameLens.create({ model: folder, device: "cpu", storage: "memory" });
        const family = lens.info.model.family;
        await lens.dispose();
        const abort = new AbortController();
        let code = "none";
        try {
          const onProgress = ({ file }: { file?: string }): void => {
            if (file?.startsWith("model-00001")) setTimeout(() => abort.abort(), 300);
          };
          await NameLens.create({ model: "models/smolvlm/", device: "cpu", signal: abort.signal, onProgress });
        } catch (error) {
          code = error instanceof NameLensError ? error.code : String(error);
        }
        await NameLens.forgetModels();
        const left: string[] = [];
        const kept = await (await navigator.storage.getDirectory()).getDirectoryHandle("namelens-models", { create: true });
        for await (const name of kept.keys()) left.push(name);
        return { family, code, left };
      },
      { script, files },
    );
    expect(outcome).toEqual({ family: "qwen2_5_vl", code: "cancelled", left: [] });
  });

  test("a folder without a model says which file is missing", async ({ page, watch }) => {
    watch.allow(/service worker|ServiceWorker|404/i);
    await page.goto("./?room=playroom&model=models/nothing/");
    await expect(page.getByRole("alert")).toContainText("nothing: config.json is missing");
    await page.getByRole("button", { name: "Back to the built-in model" }).click();
    await loadedAs(page, /^Loaded: namelens-playroom/);
  });
});
