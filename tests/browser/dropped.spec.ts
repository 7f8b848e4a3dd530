// A folder of photos that is dropped on the page: however deep they lie, with what is broken, of another kind or no photo at all.

import { copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";
import { photoPath, Photos } from "./photos.js";
import { expect, test } from "./page.js";

/** The beginning of a photo as phones write them. */
const HEIC = Buffer.from("\0\0\0\x18ftypheic\0\0\0\0mif1heic", "latin1");

let parent: string;
test.beforeEach(async () => void (parent = await mkdtemp(join(tmpdir(), "namelens-"))));
test.afterEach(() => rm(parent, { recursive: true }));

/** Makes a file below the folder: a photo of the album by its name, or these bytes. */
async function put(path: string, what: string | Buffer): Promise<void> {
  await mkdir(dirname(join(parent, path)), { recursive: true });
  if (typeof what === "string") await copyFile(photoPath(what), join(parent, path));
  else await writeFile(join(parent, path), what);
}

/** Drops files and folders on the half that looks, as the system does: only so the browser says what is a folder. */
async function drop(page: Page, ...names: string[]): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  const files = names.map((name) => (name.startsWith("/") ? name : join(parent, name)));
  // The second one is over the overlay, which the first one has brought up.
  for (const type of ["dragEnter", "dragOver", "dragOver", "drop"] as const) {
    await devtools.send("Input.dispatchDragEvent", { type, x: 1000, y: 450, data: { items: [], files, dragOperationsMask: 1 } });
  }
}

test("photos of a folder and of those below it are looked through by their paths; what cannot be read says which file it is and why", async ({ page }) => {
  await put("Pictures/2024/leaves.jpg", "collie-leaves");
  await put("Pictures/2024/a/b/c/d/e/f/g/flowers.JPG", "collie-flowers");
  await put("Pictures/IMG_2.jpg", "cat-close");
  await put("Pictures/IMG_10.heic", HEIC);
  await put("Pictures/broken.jpg", Buffer.from("no picture"));
  await put("Pictures/notes.txt", Buffer.from("no photo"));
  await put("Pictures/.thumbnails/small.jpg", "collie-sofa");
  await put("Pictures/._IMG_2.jpg", Buffer.from("what a Mac keeps beside a file"));
  await put("Pictures/empty/nothing", Buffer.alloc(0));
  // No browser follows it.
  await symlink("..", join(parent, "Pictures/2024/around"));
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name("Pixel");
  await photos.settle(() => drop(page, "Pictures"));
  const names = await photos.find.locator(".card-open").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")?.replace("Show large: ", "")));
  const [broken, heic] = ["Pictures/broken.jpg", "Pictures/IMG_10.heic"];
  const [leaves, flowers] = ["Pictures/2024/leaves.jpg", "Pictures/2024/a/b/c/d/e/f/g/flowers.JPG"];
  expect(names).toEqual([broken, "Pictures/IMG_2.jpg", heic, leaves, flowers]);
  for (const found of [leaves, flowers]) expect(await photos.sure(found), found).toHaveLength(1);
  expect(await photos.sure("Pictures/IMG_2.jpg")).toEqual([]);
  for (const [name, why] of [[broken, "not a JPEG, PNG or WebP"], [heic, "HEIC is not supported; convert the photo to JPEG"]] as const) {
    expect(await photos.said(name)).toBe("This photo cannot be opened.");
    await expect(photos.card(name).locator(".absent")).toContainText(new RegExp(`^${name.replaceAll(".", "\\.")}: .*${why}`));
  }
  await expect(page.getByRole("alert")).toHaveCount(0);
  // Large, it says which file it is.
  await photos.card(leaves).getByRole("button").click();
  await expect(page.getByRole("dialog").getByText(leaves, { exact: true })).toBeVisible();
});

test("several folders and a photo beside them are all looked through; a folder without photos is said to have none", async ({ page }) => {
  await put("one/leaves.jpg", "collie-leaves");
  await put("two/deep/flowers.jpg", "collie-flowers");
  await put("beside.jpg", "cat-close");
  await put("texts/notes.txt", Buffer.from("no photo"));
  const photos = new Photos(page);
  await photos.open();
  await photos.pick();
  await photos.name("Pixel");
  await photos.settle(() => drop(page, "one", "beside.jpg", "two"));
  await expect(photos.find.locator(".result")).toHaveCount(3);
  for (const name of ["one/leaves.jpg", "two/deep/flowers.jpg"]) expect(await photos.sure(name), name).toHaveLength(1);
  expect(await photos.sure("beside.jpg")).toEqual([]);
  await drop(page, "texts");
  await expect(page.locator("#notices")).toContainText("texts: no photos in there");
  await expect(photos.find.locator(".result")).toHaveCount(3);
});

test("a folder with a model in it is loaded as one", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await drop(page, fileURLToPath(new URL("../fixtures/checkpoints/smolvlm", import.meta.url)));
  await expect(page.locator("#captions")).toContainText("smolvlm writes captions for your photos");
});
