// The whole story, as a visitor lives it: name a thing, find it in a photo, ask, rename, delete, carry, come back.

import { expect, fixture, test } from "./page.js";

const NAME = fixture.name;
const NEW_NAME = "Ωmega 小雪 🦊";

test("a thing gets a name and is found, renamed, carried and forgotten", async ({ page, demo }, info) => {
  await demo.open();
  await expect(page.getByText("It has never seen a real photograph.", { exact: false })).toBeVisible();

  await test.step("name a thing by one photo", () => demo.name(NAME));

  await test.step("the caption streams in and uses the name", async () => {
    // How many different texts the caption goes through tells a stream from a single answer.
    await page.evaluate(() => {
      const seen = new Set<string>();
      const caption = document.querySelector("#caption");
      new MutationObserver(() => seen.add(caption?.textContent ?? "")).observe(caption as Node, { childList: true });
      Object.assign(window, { seenCaptions: seen });
    });
    const text = await demo.captionScene();
    expect(text).toContain(NAME);
    expect(text).not.toMatch(/[<>]/);
    // The same tokens as on native CPU and Vulkan.
    expect(text).toBe(fixture.text);
    const steps = await page.evaluate(() => (window as unknown as { seenCaptions: Set<string> }).seenCaptions.size);
    expect(steps).toBeGreaterThan(3);
  });

  await test.step("the name is boxed on the photo in its own colour", async () => {
    const tag = demo.caption.locator(".tag", { hasText: NAME });
    await expect(tag).toHaveCount(1);
    const line = demo.photo.locator(".box-line.sure");
    await expect(line).toHaveCount(1);
    const [tagColor, lineColor] = await Promise.all([
      tag.evaluate((element) => getComputedStyle(element).backgroundColor),
      line.evaluate((element) => getComputedStyle(element).stroke),
    ]);
    expect(lineColor).toBe(tagColor);
    const box = await line.evaluate((element) => {
      const { width, height } = (element as SVGGraphicsElement).getBBox();
      return { width, height };
    });
    // In percent of the photo: neither a point nor the whole of it.
    for (const side of [box.width, box.height]) {
      expect(side).toBeGreaterThan(5);
      expect(side).toBeLessThan(95);
    }
    await expect(demo.photo.locator(".why-rows .tag", { hasText: NAME })).toBeVisible();
    await page.screenshot({ path: info.outputPath("story.png"), fullPage: true });
  });

  await test.step("ask, locate, recognise", async () => {
    await page.getByLabel("Ask about this photo").fill(`What is ${NAME} wearing?`);
    const press = (name: string) => () => demo.photo.getByRole("button", { name, exact: true }).click();
    await demo.run(press("Ask"));
    await expect(demo.answer).not.toBeEmpty();
    await demo.run(press(`Where is ${NAME}?`));
    await expect(demo.answer).toContainText("is in the box");
    await expect(demo.photo.locator(".stage.highlighting")).toHaveCount(1);
    await demo.run(press(`Is ${NAME} here?`));
    await expect(demo.photo.locator(".stage.highlighting")).toHaveCount(0);
    await expect(demo.answer).toHaveText(/^Yes/);
  });

  await test.step("rename: the next caption uses the new name", async () => {
    await demo.shelf.getByRole("button", { name: `Edit ${NAME}` }).click();
    await demo.shelf.getByLabel("Name", { exact: true }).fill(NEW_NAME);
    await demo.shelf.getByRole("button", { name: "Save" }).click();
    await expect(demo.tag(NEW_NAME)).toBeVisible();
    const text = await demo.captionAgain();
    expect(text).toContain(NEW_NAME);
    expect(text).not.toContain(NAME);
  });

  const file = await test.step("export", () => demo.export());

  await test.step("delete: the next caption uses no name", async () => {
    await demo.shelf.getByRole("button", { name: `Delete ${NEW_NAME}` }).click();
    await expect(demo.tag(NEW_NAME)).toHaveCount(0);
    const text = await demo.captionAgain();
    expect(text).not.toContain(NEW_NAME);
    expect(text).not.toBe("");
    await expect(demo.caption.locator(".tag")).toHaveCount(0);
  });

  await test.step("import brings it back", async () => {
    const payload = { name: "things.json", mimeType: "application/json", buffer: file };
    await demo.shelf.getByLabel("Import things from a file").setInputFiles(payload);
    await expect(demo.tag(NEW_NAME)).toBeVisible();
    expect(await demo.captionAgain()).toContain(NEW_NAME);
  });

  await test.step("a reload keeps it", async () => {
    await page.reload();
    await demo.loaded();
    await expect(demo.tag(NEW_NAME)).toBeVisible();
    expect(await demo.captionScene()).toContain(NEW_NAME);
  });
});

test("after the first load it works without a connection", async ({ page, context, demo, watch }) => {
  await demo.open();
  await demo.name(NAME);
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  // The browser itself logs that the manifest could not be asked for anew.
  watch.allow(/ERR_INTERNET_DISCONNECTED/);
  await context.setOffline(true);
  await page.reload();
  await demo.loaded();
  await expect(demo.tag(NAME)).toBeVisible();
  expect(await demo.captionScene()).toContain(NAME);
  await context.setOffline(false);
});

test("a run can be cancelled while the photo is being looked at", async ({ page, demo }) => {
  await demo.open();
  await demo.name(NAME);
  // The click comes from within the page, at the first sign of encoding: from outside it might come too late.
  await page.evaluate(() => {
    const busy = document.querySelector(".busy") as HTMLElement;
    const observer = new MutationObserver(() => {
      if (!busy.textContent?.includes("Looking at the photo")) return;
      observer.disconnect();
      busy.querySelector("button")?.click();
    });
    observer.observe(busy, { childList: true, subtree: true, characterData: true });
  });
  expect(await demo.captionScene()).not.toContain(NAME);
  await expect(demo.caption).toHaveClass(/stopped/);
  await expect(page.getByRole("alert")).toHaveCount(0);
  expect(await demo.captionAgain()).toContain(NAME);
});
