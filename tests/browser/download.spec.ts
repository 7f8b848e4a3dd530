// The download page against a hub of its own: everything that can happen to a download.

import AxeBuilder from "@axe-core/playwright";
import { Downloads, expect, folder, ID, SHARD, test } from "./downloads.js";

test("a model is downloaded, checked, used on the main page, and deleted there", async ({ page, downloads, hub }) => {
  await downloads.open();
  expect(hub.asked).toEqual([]); // nobody is asked before the visitor asks
  await downloads.start();
  await downloads.ready();
  const kept = Object.keys(await downloads.kept()).map((path) => path.split("/")[1]);
  expect(kept.filter((name) => name?.endsWith(".part"))).toEqual([]);
  expect(kept.sort()).toEqual(
    [".plan.json", ".ready", "chat_template.jinja", "config.json", "generation_config.json", "processor_config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors.index.json", "model-00001-of-00003.safetensors", SHARD, "model-00003-of-00003.safetensors"].sort(),
  );
  expect(hub.asked.filter((line) => /README|onnx/.test(line))).toEqual([]);
  // One look at the hub, one at its list (two pages), then each file once, whole.
  expect(hub.ranges(SHARD)).toEqual([null]);

  hub.reset();
  await downloads.card.getByRole("link", { name: "Use it: SmolVLM 256M" }).click();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: SmolVLM-256M-Instruct, of the SmolVLM family/);
  await expect(page.locator("#loading")).toBeHidden();
  await expect(page.getByRole("alert")).toHaveCount(0);
  await page.reload();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: SmolVLM-256M-Instruct/);
  expect(hub.asked).toEqual([]);

  await page.getByRole("button", { name: "Change the model" }).click();
  await expect(page.locator(".stored li")).toContainText("in use");
  const { violations } = await new AxeBuilder({ page }).analyze();
  expect(violations.map(({ id }) => id)).toEqual([]);
  await page.getByRole("button", { name: "Delete SmolVLM-256M-Instruct" }).click();
  await page.getByRole("button", { name: "Really delete? SmolVLM-256M-Instruct" }).click();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: namelens-photos/);
  expect(await downloads.kept()).toEqual({});
  expect(page.url()).not.toContain("#model");
});

test("a download is paused, and goes on from there", async ({ downloads, hub }) => {
  await downloads.open();
  hub.faults.stall = { path: SHARD, after: 30_000 };
  await downloads.start();
  await expect.poll(() => hub.ranges(SHARD).length).toBe(1);
  await expect.poll(async () => (await downloads.kept())[folder(`${SHARD}.part`)]).toBe(30_000);
  await downloads.card.getByRole("button", { name: "Pause: SmolVLM 256M" }).click();
  const goOn = downloads.card.getByRole("button", { name: "Go on: SmolVLM 256M" });
  await expect(goOn).toBeFocused();
  await expect(downloads.card.getByRole("alert")).toHaveCount(0);
  hub.reset();
  await goOn.click();
  await downloads.ready();
  expect(hub.ranges(SHARD)).toEqual(["bytes=30000-"]);
  expect(hub.asked.filter((line) => line.includes("/api/models/"))).toEqual([]); // the commit is known
});

test("a tab that was closed in the middle loses nothing", async ({ page, downloads, hub, context, watch }) => {
  await downloads.open();
  hub.faults.stall = { path: SHARD, after: 40_000 };
  await downloads.start();
  await expect.poll(async () => (await downloads.kept())[folder(`${SHARD}.part`)]).toBe(40_000);
  await page.close();
  hub.reset();
  watch.allow(/closed/);
  const later = new Downloads(await context.newPage());
  await later.open();
  await expect(later.card.locator("progress")).toBeVisible();
  await later.card.getByRole("button", { name: "Go on: SmolVLM 256M" }).click();
  await later.ready();
  expect(hub.ranges(SHARD)).toEqual(["bytes=40000-"]);
});

test("a connection that is cut and an address that has expired are no more than a delay", async ({ downloads, hub }) => {
  await downloads.open();
  hub.faults = { cut: { path: SHARD, after: 25_000, times: 2 }, expired: 2 };
  await downloads.start();
  await downloads.ready();
  expect(hub.ranges(SHARD)).toEqual([null, "bytes=25000-", "bytes=50000-"]);
  expect(hub.asked.filter((line) => line.includes("OPTIONS"))).toEqual([]);
});

test("without a connection the page says so, keeps what it has, and goes on when asked", async ({ downloads, hub }) => {
  await downloads.open();
  hub.faults = { cut: { path: SHARD, after: 0, times: 99 } };
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText("The connection broke");
  hub.reset();
  await downloads.card.getByRole("button", { name: "Try again: SmolVLM 256M" }).click();
  await downloads.ready();
  expect(hub.asked.filter((line) => line.includes("model-00001-of-00003"))).toEqual([]);
});

test("a file that is shorter than the list says is not fetched for ever", async ({ downloads, hub }) => {
  await downloads.open();
  hub.faults.short = { path: SHARD, bytes: 20_000 };
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText("The connection broke");
  // What is there, what is not, and so on: that it begins anew brings it no further.
  expect(hub.ranges(SHARD)).toEqual([null, "bytes=20000-", null, "bytes=20000-", null]);
});

test("the page says what the hub learns: also which site asks", async ({ downloads, hub, page }) => {
  await downloads.open();
  await downloads.start();
  await downloads.ready();
  expect([...hub.origins]).toEqual([new URL(page.url()).origin]);
  await expect(page.locator(".small-print")).toContainText("which site asks for them");
});

test("a file with one wrong byte is refused, thrown away, and never used", async ({ page, downloads, hub }) => {
  await downloads.open();
  hub.faults.wrong = { path: SHARD };
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText(/A file is not the published one.*model-00002-of-00003\.safetensors: its sha256 is not/s);
  expect((await downloads.kept())[folder(`${SHARD}.part`)]).toBe(0);
  await page.goto(`./#model=${ID}`);
  await expect(page.getByRole("alert")).toContainText(`${ID} is not downloaded to its end`);
  await page.getByRole("alert").getByRole("button", { name: "Back to the built-in model" }).click();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: namelens-photos/);
  await downloads.open();
  hub.reset();
  await downloads.card.getByRole("button", { name: "Go on: SmolVLM 256M" }).click();
  await downloads.ready();
});

test("a small file is checked too", async ({ downloads, hub }) => {
  await downloads.open();
  hub.faults.wrong = { path: "config.json" };
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText("config.json: its git-sha1 is not");
});

for (const [id, words] of [
  ["org/gated", /Its owner asks for an agreement first.*accept the terms/s],
  ["org/nothing", /There is no such repository.*may be private/s],
  ["org/words", /NameLens finds no model in this repository.*config\.json is missing/s],
  ["nonsense", /This is not the name of a repository.*owner\/name/s],
] as const) {
  test(`${id} is refused in plain words`, async ({ downloads, page }) => {
    await downloads.open();
    await downloads.lookUp(id);
    await expect(page.locator("#other").getByRole("alert")).toHaveText(words);
    expect(await downloads.kept()).toEqual({});
  });
}

test("a repository of GGUF files lets one of them be chosen", async ({ downloads, page, hub }) => {
  await downloads.open();
  await downloads.lookUp("https://huggingface.co/org/gguf/tree/main");
  await expect(page.getByLabel("Which file")).toHaveValue("M-Q8_0.gguf");
  await page.getByLabel("Which file").selectOption("M-Q4_K_M.gguf");
  await expect(page.getByLabel("Which file")).toHaveValue("M-Q4_K_M.gguf");
  const card = page.locator("#other").getByRole("article");
  await card.getByRole("button", { name: /^Download/ }).click();
  await downloads.ready(card);
  expect(hub.ranges("M-Q4_K_M.gguf")).toHaveLength(1);
  expect(hub.ranges("M-Q8_0.gguf")).toHaveLength(0);
  await downloads.open();
  const here = page.locator("#others").getByRole("article", { name: "gguf" });
  await here.getByRole("button", { name: "Delete gguf" }).click();
  await here.getByRole("button", { name: /^Delete .*\? gguf$/ }).click();
  await expect(here.getByRole("button", { name: /^Download/ })).toBeVisible();
  expect(await downloads.kept()).toEqual({});
});

test("a model for which there is no room is not begun", async ({ downloads, page, hub }) => {
  await page.addInitScript(() => {
    navigator.storage.estimate = async () => ({ quota: 20_300_000, usage: 200_000 });
  });
  await downloads.open();
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText(/There is not enough space.*It needs \d+ kB more; the browser has .* left for this page/s);
  expect(hub.asked.filter((line) => line.includes("/resolve/"))).toEqual([]);
  await expect(downloads.card.getByRole("button", { name: "Try again: SmolVLM 256M" })).toBeVisible();
});

test("a disk that is full before the browser said so is told, and what is here goes on later", async ({ downloads, page, hub, baseURL }) => {
  await downloads.open();
  const session = await page.context().newCDPSession(page);
  const { origin } = new URL(baseURL ?? "");
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 150_000 });
  await downloads.start();
  await expect(downloads.card.getByRole("alert")).toContainText("There is not enough space");
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  hub.reset();
  await downloads.card.getByRole("button", { name: "Try again: SmolVLM 256M" }).click();
  await downloads.ready();
  expect(hub.asked.filter((line) => line.includes("/config.json"))).toEqual([]);
});

test("two tabs do not write the same model", async ({ downloads, hub, context }) => {
  await downloads.open();
  hub.faults.stall = { path: SHARD, after: 10_000 };
  await downloads.start();
  await expect.poll(() => hub.ranges(SHARD).length).toBe(1);
  const other = new Downloads(await context.newPage());
  await other.open();
  await other.card.getByRole("button", { name: /^Go on/ }).click();
  await expect(other.card.getByRole("alert")).toContainText("It is being downloaded in another tab");
});

test("a download goes on, and can be paused, while another repository is looked up", async ({ downloads, page, hub }) => {
  await downloads.open();
  hub.faults.stall = { path: SHARD, after: 30_000 };
  await downloads.lookUp("org/small");
  const card = page.getByRole("article", { name: "small" });
  await card.getByRole("button", { name: /^Download/ }).click();
  await expect.poll(() => hub.ranges(SHARD).length).toBe(1);
  await downloads.lookUp("org/gguf");
  await expect(page.getByLabel("Which file")).toBeVisible();
  await expect(card).toHaveCount(1);
  // Looked up once more, it is the same download.
  await downloads.lookUp("org/small");
  await expect(card).toHaveCount(1);
  await card.getByRole("button", { name: "Pause: small" }).click();
  await expect(card.getByRole("button", { name: "Go on: small" })).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
});
