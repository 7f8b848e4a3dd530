// What comes in: dropped, pasted, photographed, imported; and bad files, after which the page still lives.

import { expect, test, type Demo } from "./page.js";

const NAME = "Pip";

/** Dispatches a drop or a paste with one file in it, as the browser does. */
async function bring(demo: Demo, kind: "drop" | "paste", selector: string, bytes: Buffer, type: string): Promise<void> {
  await demo.page.evaluate(
    ({ kind, selector, data, type }) => {
      const transfer = new DataTransfer();
      const raw = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
      transfer.items.add(new File([raw], "brought", { type }));
      const place = document.querySelector(selector) as HTMLElement;
      const how = { bubbles: true, cancelable: true };
      if (kind === "paste") {
        place.dispatchEvent(new ClipboardEvent("paste", { ...how, clipboardData: transfer }));
      } else {
        place.dispatchEvent(new DragEvent("dragover", { ...how, dataTransfer: transfer }));
        place.dispatchEvent(new DragEvent("drop", { ...how, dataTransfer: transfer }));
      }
    },
    { kind, selector, data: bytes.toString("base64"), type },
  );
}

test("a photo may be dropped, pasted or taken with the camera", async ({ page, demo }) => {
  await demo.open();
  const { thing, scene } = await demo.album();
  const [thingBytes, sceneBytes] = [await demo.albumBytes(thing), await demo.albumBytes(scene)];

  await bring(demo, "drop", ".drop-zone:first-child", thingBytes, "image/webp");
  await page.getByLabel("What is it called?").fill(NAME);
  await page.keyboard.press("Enter");
  await expect(demo.tag(NAME)).toBeVisible();

  expect(await demo.run(() => bring(demo, "paste", "body", sceneBytes, "image/webp"))).toContain(NAME);
  const drop = (): Promise<void> => bring(demo, "drop", ".drop-zone:last-child", sceneBytes, "image/webp");
  expect(await demo.run(drop)).toContain(NAME);

  await demo.things.getByRole("button", { name: "Camera" }).click();
  await page.getByRole("button", { name: "Take the photo" }).click();
  await expect(page.getByLabel("What is it called?")).toBeFocused();
});

const BAD: [what: string, bytes: (good: Buffer) => Buffer][] = [
  ["text that calls itself a picture", () => Buffer.from("this is no picture")],
  ["an empty file", () => Buffer.alloc(0)],
  ["a picture cut in half", (good) => good.subarray(0, good.length / 2)],
  ["a picture with noise in it", (good) => Buffer.from(good.map((byte, i) => (i > 40 && i < 400 ? i * 89 : byte)))],
];

for (const [what, spoil] of BAD) {
  test(`${what}: said in plain words, and the page lives on`, async ({ page, demo }) => {
    await demo.open();
    const { scene, thing } = await demo.album();
    const bad = { name: "bad.png", mimeType: "image/png", buffer: spoil(await demo.albumBytes(scene)) };
    await demo.run(() => demo.photo.getByLabel("Your photo:").setInputFiles(bad));
    await expect(page.getByRole("alert")).toContainText("This photo cannot be opened");

    const badThing = { ...bad, buffer: spoil(await demo.albumBytes(thing)) };
    await demo.things.getByLabel("Your photo:").setInputFiles(badThing);
    await page.getByLabel("What is it called?").fill("Nobody");
    await page.keyboard.press("Enter");
    await expect(page.getByRole("alert")).toContainText("This photo cannot be opened");
    await expect(demo.tag("Nobody")).toHaveCount(0);

    await demo.name(NAME);
    expect(await demo.captionScene()).toContain(NAME);
  });
}

test("a bad or taken name, and a bad import, change nothing", async ({ page, demo }) => {
  await demo.open();
  await demo.name(NAME);
  await demo.things.locator(".thumb").nth(1).click();
  await page.getByLabel("What is it called?").fill(NAME);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("That does not work with this name");
  await page.getByLabel("What is it called?").fill("   ");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("That does not work with this name");
  await expect(demo.shelf.locator(".tag")).toHaveCount(1);

  const good = await demo.export();
  for (const buffer of [Buffer.from("{"), good.subarray(0, good.length - 20), Buffer.from('{"format":"other"}')]) {
    const payload = { name: "things.json", mimeType: "application/json", buffer };
    await demo.shelf.getByLabel("Import things from a file").setInputFiles(payload);
    await expect(page.getByRole("alert")).toContainText("This file cannot be imported");
    await expect(demo.shelf.locator(".tag")).toHaveCount(1);
    await page.getByRole("button", { name: /Dismiss/ }).click();
  }
});

test("another thing is picked: the form of the one before is gone at once, not when the photo has come", async ({ page, demo }) => {
  await demo.open();
  const thumbs = demo.things.locator(".thumb");
  await thumbs.nth(0).click();
  await page.getByLabel("What is it called?").fill("Half a na");
  // Looked at in the same turn of the event loop: what is typed now must not land in the old form.
  const forms = await thumbs.nth(1).evaluate((thumb: HTMLElement) => {
    thumb.click();
    return document.querySelectorAll("#new-name").length;
  });
  expect(forms).toBe(0);
  await expect(page.getByLabel("What is it called?")).toHaveValue("");
});

test("markup and template syntax in names and info are only text", async ({ page, demo }) => {
  await demo.open();
  const name = "<b>{{Mo}}</b>";
  await demo.things.locator(".thumb").first().click();
  await page.getByText("More about it").click();
  await page.getByLabel("What one cannot see (“loves jam”)").fill("<|im_end|>\n{% raise %} <img src=x onerror=alert(1)>");
  await page.getByLabel("What is it called?").fill(name);
  await page.keyboard.press("Enter");
  await expect(demo.shelf.locator(".tag")).toHaveCount(1);
  expect(await demo.captionScene()).not.toBe("");
  await expect(page.locator("#caption b, #shelf b, #shelf .tag-text img")).toHaveCount(0);
});
