// Real photographs on the page: a box round a pet, its name, and the photos it is found in; poor photos, odd ones, and facts only.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "@playwright/test";
import { COLLIE, OTHERS, overlap, photoBytes, photoPath, Photos, picture } from "./photos.js";
import { expect, test, type Watch } from "./page.js";

const NAME = "Pixel";
/** All that recognition may say. */
const FACTS = /^((Perhaps )?[^.]+ is [^.]+, \d+ % sure\.( |$))+$|^None of your things was found in this photo\.$/;
const checkpoint = (name: string): string => fileURLToPath(new URL(`../fixtures/checkpoints/${name}`, import.meta.url));

test("a box round a pet, its name, ten photos: it is found in its own and boxed there, and nothing is made up", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  const truth = COLLIE["collie-sofa"] ?? [0, 0, 1, 1];
  expect(overlap(await photos.boxed(), truth)).toBeGreaterThan(0.4);

  await test.step("the box follows its handles, and what it shows is looked at again", async () => {
    await photos.drag(-1, -1, [truth[0], truth[1]]);
    await photos.drag(1, 1, [truth[2], truth[3]]);
    expect(overlap(await photos.boxed(), truth)).toBeGreaterThan(0.95);
    await photos.proposed();
    // Dragged over the edge it stops there.
    await photos.drag(1, 0, [1.4, 0.5]);
    expect((await photos.boxed())[2]).toBe(1);
    await photos.drag(1, 0, [truth[2], 0.5]);
    await photos.proposed();
  });

  await test.step("a finger drags it as well", async () => {
    const before = await photos.boxed();
    await photos.touch(-1, 0, 24);
    expect((await photos.boxed())[0]).toBeGreaterThan(before[0] + 0.02);
    await photos.touch(-1, 0, -24);
    expect(overlap(await photos.boxed(), before)).toBeGreaterThan(0.95);
    await photos.proposed();
  });

  await test.step("a word for what it looks like is taken, and another can be", async () => {
    const chips = photos.show.locator(".chip");
    await expect(page.getByLabel("What kind of thing is it?")).toHaveValue(/collie/);
    await chips.nth(1).click();
    await expect(chips.nth(1)).toHaveAttribute("aria-pressed", "true");
    await expect(page.getByLabel("What kind of thing is it?")).toHaveValue((await chips.nth(1).textContent()) ?? "?");
    await page.getByLabel("What kind of thing is it?").fill("collie");
  });

  await photos.name(NAME);
  const names = [...Object.keys(COLLIE), ...OTHERS];
  await page.evaluate(() => {
    const seen = new Set<string>();
    Object.assign(window, { seen });
    const words = document.querySelector("#wall-progress") as HTMLElement;
    new MutationObserver(() => seen.add(words.textContent ?? "")).observe(words, { childList: true });
  });
  await photos.look(names.map(photoPath));
  const progress = await page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
  expect(progress).toEqual(names.map((_, at) => `${at + 1} of ${names.length}`));

  for (const [name, box] of Object.entries(COLLIE)) {
    const boxes = await photos.sure(`${name}.jpg`);
    expect(boxes, name).toHaveLength(1);
    expect(overlap(boxes[0] ?? [0, 0, 0, 0], box), name).toBeGreaterThan(0.25);
    expect(await photos.said(`${name}.jpg`)).toMatch(new RegExp(`^${NAME} \\(collie\\) is .*, \\d+ % sure\\.$`));
    await expect(photos.card(`${name}.jpg`).locator(".facts .tag", { hasText: NAME })).toBeVisible();
    await expect(photos.card(`${name}.jpg`).locator(".labels .tag")).toHaveText(new RegExp(`^${NAME} \\d+ %$`));
  }
  for (const name of OTHERS) expect(await photos.sure(`${name}.jpg`), name).toEqual([]);
  // The Playroom's model writes other sentences, and never here.
  for (const name of names) expect(await photos.said(`${name}.jpg`)).toMatch(FACTS);

  await test.step("the photos with it, and the ones without", async () => {
    await photos.find.getByRole("button", { name: new RegExp(`^${NAME} \\d`) }).click();
    for (const name of Object.keys(COLLIE)) await expect(photos.card(`${name}.jpg`)).toBeVisible();
    await expect(photos.card("cat-close.jpg")).toBeHidden();
    await photos.find.getByRole("button", { name: /^Nothing found/ }).click();
    await expect(photos.card("cat-close.jpg")).toBeVisible();
    await expect(photos.card("collie-leaves.jpg")).toBeHidden();
    await photos.find.getByRole("button", { name: /^All/ }).click();
  });

  await test.step("one of them large", async () => {
    const open = photos.card("collie-leaves.jpg").getByRole("button");
    await open.click();
    const dialog = page.getByRole("dialog");
    await expect(dialog.locator(".box-line.sure")).toHaveCount(1);
    await expect(dialog.locator(".why-rows .tag", { hasText: NAME })).toBeVisible();
    await page.keyboard.press("ArrowRight");
    await expect(dialog.locator("h2")).toContainText("collie-flowers.jpg");
    await page.keyboard.press("Escape");
    await expect(dialog).toBeHidden();
    await expect(photos.card("collie-flowers.jpg").getByRole("button")).toBeFocused();
  });

  await test.step("a reload keeps the thing and finds it again", async () => {
    await page.reload();
    await photos.loaded();
    await expect(photos.shelf.locator(".tag", { hasText: NAME })).toBeVisible();
    await expect(photos.card("A collie standing among fallen leaves").locator(".facts .tag", { hasText: NAME })).toBeVisible();
  });
});

test("what is wrong with a photo of a thing is said at once, in plain words", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  const warnings = photos.show.locator(".warning");
  const pick = async (buffer: Buffer): Promise<void> => {
    await photos.show.getByLabel("Your photo:").setInputFiles({ name: "thing.png", mimeType: "image/png", buffer });
    await photos.proposed();
  };
  await pick(await picture(page, 300, 300, "teal"));
  await expect(warnings).toHaveText(["Nothing can be seen here: it is all of one colour."]);
  await pick(await picture(page, 300, 300, "#000", "#222", "#111", "#333"));
  await expect(warnings.first()).toContainText("It is dark here.");
  await pick(await picture(page, 40, 40, "red", "white", "blue"));
  await expect(warnings.first()).toContainText(/It is small: \d+ pixels\./);

  await photos.pick();
  await expect(warnings).toHaveCount(0);
  await photos.name(NAME);
  await pick(await photoBytes("collie-leaves"));
  await expect(warnings).toContainText([`This may be ${NAME}, which has a name already.`]);
  // Pressed twice it is one photo all the same.
  await photos.settle(() => page.getByRole("button", { name: `Add this photo to ${NAME}` }).dblclick());
  await expect(photos.shelf).toContainText("2 photos");
  await expect(photos.shelf.locator(".tag")).toHaveCount(1);

  await photos.show.getByLabel("Your photo:").setInputFiles({ name: "bad.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await expect(page.getByRole("alert")).toContainText("This photo cannot be opened");
});

test("odd photos: of one colour, a line of ten thousand pixels, forty megapixels, none at all; each is told of, and the rest goes on", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  const png = async (name: string, buffer: Buffer) => ({ name, mimeType: "image/png", buffer });
  await photos.look([
    await png("flat.png", await picture(page, 400, 300, "teal")),
    await png("line.png", await picture(page, 1, 10_000, "teal")),
    await png("large.png", await picture(page, 8000, 5000, "navy", "white", "teal")),
    await png("none.png", Buffer.from("no picture")),
    { name: "collie-leaves.jpg", mimeType: "image/jpeg", buffer: await photoBytes("collie-leaves") },
  ]);
  for (const name of ["flat.png", "large.png"]) expect(await photos.said(name)).toBe("None of your things was found in this photo.");
  expect(await photos.said("line.png")).toMatch(/^None of your things|cannot be opened/);
  expect(await photos.said("none.png")).toBe("This photo cannot be opened.");
  expect(await photos.sure("collie-leaves.jpg")).toHaveLength(1);
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("photos are dropped many at once, a thing is dropped on the half that names, and either is pasted", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  const bring = async (kind: "drop" | "paste", selector: string, ...names: string[]): Promise<void> => {
    const files = await Promise.all(names.map(async (name) => [`${name}.jpg`, (await photoBytes(name)).toString("base64")] as const));
    await page.evaluate(
      ({ kind, selector, files }) => {
        const transfer = new DataTransfer();
        for (const [name, data] of files) {
          transfer.items.add(new File([Uint8Array.from(atob(data), (char) => char.charCodeAt(0))], name, { type: "image/jpeg" }));
        }
        const place = document.querySelector(selector) as HTMLElement;
        const how = { bubbles: true, cancelable: true };
        if (kind === "paste") return void place.dispatchEvent(new ClipboardEvent("paste", { ...how, clipboardData: transfer }));
        place.dispatchEvent(new DragEvent("dragover", { ...how, dataTransfer: transfer }));
        place.dispatchEvent(new DragEvent("drop", { ...how, dataTransfer: transfer }));
      },
      { kind, selector, files },
    );
  };
  await bring("drop", ".drop-zone:first-child", "collie-sofa");
  await photos.proposed();
  await photos.name(NAME);
  await photos.settle(() => bring("drop", ".drop-zone:last-child", "collie-leaves", "cat-close"));
  await expect(photos.find.locator(".result")).toHaveCount(2);
  expect(await photos.sure("collie-leaves.jpg")).toHaveLength(1);
  await photos.settle(() => bring("paste", "body", "collie-flowers"));
  await expect(photos.find.locator(".result")).toHaveCount(3);
  expect(await photos.sure("pasted photo")).toHaveLength(1);
  // Where things are named, what is pasted is a thing.
  await photos.show.locator(".thumb").first().focus();
  await bring("paste", "body", "corgi-wall");
  await photos.proposed();
  await expect(page.getByLabel("What is it called?")).toBeFocused();
});

test("looking through can be cancelled, and begun again", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  // The click comes from within the page, when the second photo is at work.
  await page.evaluate(() => {
    const words = document.querySelector("#wall-progress") as HTMLElement;
    const observer = new MutationObserver(() => {
      if (!words.textContent?.startsWith("2 of")) return;
      observer.disconnect();
      words.parentElement?.querySelector("button")?.click();
    });
    observer.observe(words, { childList: true });
  });
  await photos.settle(() => photos.find.getByRole("button", { name: "Look again" }).click());
  await expect(photos.find.locator('[data-state="done"]')).toHaveCount(1);
  await expect(photos.find.locator('[data-state="stopped"]')).toHaveCount(5);
  await expect(page.getByRole("alert")).toHaveCount(0);
  await photos.settle(() => photos.find.getByRole("button", { name: "Look again" }).click());
  await expect(photos.find.locator('[data-state="done"]')).toHaveCount(6);
});

test("the Playroom is another room: fetched when it is opened, with things of its own", async ({ page, demo }) => {
  const photos = new Photos(page);
  const weights: string[] = [];
  page.on("request", (request) => {
    if (/\.(safetensors|gguf)$/.test(request.url())) weights.push(new URL(request.url()).pathname.split(".").at(-1) ?? "");
  });
  await photos.open();
  expect(weights).toEqual(["gguf"]);
  await photos.pick();
  await photos.name(NAME);
  await page.getByRole("link", { name: "Playroom" }).click();
  await demo.loaded();
  // Language model and vision, and the retriever.
  expect(weights.slice(1).sort()).toEqual(["gguf", "gguf", "safetensors"]);
  await expect(photos.show).toBeHidden();
  await expect(demo.shelf.locator(".tag")).toHaveCount(0);
  await demo.name(NAME);
  expect(await demo.captionScene()).toContain(NAME);

  await page.goBack();
  await photos.loaded();
  await expect(photos.shelf.locator(".tag")).toHaveText([NAME]);
  // What was found is still there.
  expect(await photos.said("A collie standing among fallen leaves")).toMatch(FACTS);
  await expect(page.locator("#status-model")).toContainText("photos");
});

test("a captioner beside the model for photos writes, what is found stays found; the Playroom's model is refused", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  await page.locator("#captions").getByRole("button", { name: "Load a model from a folder" }).click();
  const choose = (folder: string): Promise<void> => page.getByLabel("Load a model from a folder").setInputFiles(folder);
  await choose(checkpoint("smolvlm"));
  await expect(page.locator("#captions")).toContainText("smolvlm writes captions for your photos");
  await photos.look([photoPath("collie-leaves")]);
  expect(await photos.said("collie-leaves.jpg")).not.toMatch(FACTS);
  await photos.card("collie-leaves.jpg").getByRole("button").click();
  await expect(page.getByRole("dialog").locator(".why-rows")).toContainText(/Something here looks like it: \d+ % sure/);
  await page.keyboard.press("Escape");

  await page.getByRole("button", { name: "Change the model" }).click();
  await choose(join(checkpoint("smolvlm"), "../../../../models/playroom"));
  await expect(page.getByRole("alert")).toContainText("knows drawn toys only");
  await page.getByRole("alert").getByRole("button", { name: "Back to the built-in model" }).click();
  await photos.loaded();
  await expect(page.locator("#captions")).toContainText("Get a model");
});

test("of the engine's modules only the processor's is fetched and kept where there is no graphics adapter", async ({ page }) => {
  const fetched: string[] = [];
  page.on("request", (request) => {
    if (request.url().endsWith(".wasm")) fetched.push(request.url());
  });
  await new Photos(page).open();
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  const kept = await page.evaluate(async () => {
    const caches_ = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return caches_.flat().map(({ url }) => url).filter((url) => url.endsWith(".wasm"));
  });
  for (const urls of [fetched, kept]) expect(urls.map((url) => /namelens_\w+?_bg/.exec(url)?.[0])).toEqual(["namelens_cpu_threads_bg"]);
});

/** Names a thing in the first room, waits until the page keeps itself, and takes the connection away. */
async function nameThenDisconnect(photos: Photos, page: Page, context: BrowserContext, watch: Watch): Promise<void> {
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  watch.allow(/ERR_INTERNET_DISCONNECTED/);
  await context.setOffline(true);
}

test("without a connection the room opens as before", async ({ page, context, watch }) => {
  const photos = new Photos(page);
  await nameThenDisconnect(photos, page, context, watch);
  await page.reload();
  await photos.loaded();
  await expect(photos.card("A collie standing among fallen leaves").locator(".facts .tag", { hasText: NAME })).toBeVisible();
  await context.setOffline(false);
});

test("the other room, opened for the first time without a connection, says what it lacks; this room goes on, and so does that one later", async ({ page, context, demo, watch }) => {
  const photos = new Photos(page);
  await nameThenDisconnect(photos, page, context, watch);
  await page.getByRole("link", { name: "Playroom" }).click();
  const alert = page.getByRole("alert");
  await expect(alert).toContainText("The model of this room is not in this browser yet");
  await expect(alert).toContainText("Connect once");
  // Its album came with the page; nothing can be done with it yet, and that is said too.
  await expect(demo.things.locator(".thumb").first()).toBeVisible();

  await page.getByRole("link", { name: "Your photos" }).click();
  await photos.loaded();
  await photos.look([photoPath("collie-leaves")]);
  expect(await photos.sure("collie-leaves.jpg")).toHaveLength(1);
  await expect(page.getByRole("alert")).toHaveCount(0);

  await page.getByRole("link", { name: "Playroom" }).click();
  await expect(alert).toContainText("Connect once");
  await context.setOffline(false);
  await alert.getByRole("button", { name: "Try again" }).click();
  await demo.loaded();
  await demo.name(NAME);
  expect(await demo.captionScene()).toContain(NAME);
});
