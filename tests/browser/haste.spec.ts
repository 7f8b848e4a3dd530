// Visitors who are quick, or change their mind: what they typed, deleted or asked for in between is neither lost nor shown wrongly.

import { expect, test } from "./page.js";
import { photoBytes, Photos } from "./photos.js";

const NAME = "Pixel";

/** Loads the model anew, as somebody does who chooses where it runs. */
async function chooseDevice(photos: Photos, device: "cpu" | "auto"): Promise<void> {
  await photos.page.locator("#device").selectOption(device);
  await photos.loaded();
}

/** Files of the same photo, by these names. */
async function copies(photo: string, ...names: string[]): Promise<{ name: string; mimeType: string; buffer: Buffer }[]> {
  const buffer = await photoBytes(photo);
  return names.map((name) => ({ name, mimeType: "image/jpeg", buffer }));
}

test("a thing that was deleted comes back also from another engine, and takes the focus", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  await photos.shelf.getByRole("button", { name: `Delete ${NAME}` }).click();
  await expect(photos.shelf.locator(".tag")).toHaveCount(0);
  await chooseDevice(photos, "cpu");
  await photos.shelf.getByRole("button", { name: `Bring ${NAME} back` }).click();
  await expect(photos.shelf.locator(".tag", { hasText: NAME })).toBeVisible();
  await expect(photos.shelf.getByRole("button", { name: `Edit ${NAME}` })).toBeFocused();
  await expect(photos.shelf.getByRole("button", { name: /^Bring/ })).toHaveCount(0);
});

test("what is typed of a thing stays while the engine is changed, and the photo is looked at then", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await page.locator("#device").selectOption("cpu");
  // The engine is on its way, and is given up for another one in the middle of the look.
  await photos.show.locator(".thumb").first().click();
  await photos.show.getByLabel("What is it called?").fill(NAME);
  await chooseDevice(photos, "auto");
  await photos.proposed();
  await expect(photos.show.getByLabel("What is it called?")).toHaveValue(NAME);
  await photos.settle(() => photos.show.getByRole("button", { name: "Name it" }).click());
  await expect(photos.shelf.locator(".tag", { hasText: NAME })).toBeVisible();
});

test("what is typed of a second thing stays while the first is being kept", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.show.getByLabel("What is it called?").fill(NAME);
  await photos.show.getByRole("button", { name: "Name it" }).click();
  await photos.show.locator(".thumb").nth(1).click();
  await photos.show.getByLabel("What is it called?").fill("Second");
  await expect(photos.shelf.locator(".tag", { hasText: NAME })).toBeVisible();
  await photos.proposed();
  await expect(photos.show.getByLabel("What is it called?")).toHaveValue("Second");
});

test("photos that come right behind a visit to the other room are looked through", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  await page.getByRole("link", { name: "Playroom" }).click();
  await photos.loaded();
  await page.getByRole("link", { name: "Your photos" }).click();
  await photos.look(await copies("collie-leaves", "late.jpg"));
  expect(await photos.sure("late.jpg")).toHaveLength(1);
});

test("a photo that is open large shows what is found in it meanwhile", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  const several = await copies("collie-leaves", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg");
  await photos.find.getByLabel("Your photos:").setInputFiles(several);
  await photos.card("6.jpg").getByRole("button").click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.locator(".caption")).toHaveText(/^(Not looked through yet|Looking…)$/);
  await expect(dialog.locator(".box-line.sure")).toHaveCount(1);
  await expect(dialog.locator(".why-rows .tag", { hasText: NAME })).toBeVisible();
});

test("photos that were looked through before the things changed are told of, and not counted as searched", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  const names = Array.from({ length: 25 }, (_, at) => `${at}.jpg`);
  await photos.look(await copies("cat-close", ...names));
  const note = photos.find.locator(".wall-status > p");
  await expect(note).toHaveText(`25 photos were looked through: ${NAME} in 0.`);
  await photos.pick(1);
  await photos.show.getByLabel("What is it called?").fill("Second");
  await photos.show.getByRole("button", { name: "Name it" }).click();
  const old = "Your things changed since 25 of these photos were looked through; “Look again” searches them for all.";
  await expect(note).toHaveText(old);
  await photos.look(await copies("collie-leaves", "new.jpg"));
  await expect(note).toHaveText(`1 photo was looked through: ${NAME} in 1, Second in 0. ${old}`);
  // A choice among the photos that is pressed keeps the focus.
  const nothing = photos.find.getByRole("button", { name: /^Nothing found/ });
  await nothing.click();
  await expect(nothing).toBeFocused();
});

test("the link past everything else leads to the photos, and leaves the address as it is", async ({ page }) => {
  const photos = new Photos(page);
  await page.goto("./#about=nothing");
  await photos.loaded();
  await page.locator(".skip").focus();
  await page.keyboard.press("Enter");
  await expect(photos.find).toBeFocused();
  expect(new URL(page.url()).hash).toBe("#about=nothing");
});

test("a task that is cancelled from the keyboard leaves the focus where the visitor is", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.show.getByRole("button", { name: "Cancel" }).press("Enter");
  await expect(photos.show).toBeFocused();
  await photos.pick();
  await photos.name(NAME);
  await photos.find.getByLabel("Your photos:").setInputFiles(await copies("cat-close", "1.jpg", "2.jpg", "3.jpg", "4.jpg"));
  await photos.find.getByRole("button", { name: "Cancel" }).press("Enter");
  await expect(photos.find.locator(".wall-status > p")).toBeFocused();
});

test("a pass in which nothing could be opened says so, and of no change", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name(NAME);
  await photos.look([{ name: "none.png", mimeType: "image/png", buffer: Buffer.from("no picture") }]);
  await expect(photos.find.locator(".wall-status > p")).toHaveText(`0 photos were looked through: ${NAME} in 0.`);
});
