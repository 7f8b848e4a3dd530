// Things from the databases of others: a folder with a RAP/RePIC `database.json` and its photos.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test, type Demo } from "./page.js";

const folders: string[] = [];
test.afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

/** A folder with these files, gone after the test. */
async function folderOf(files: Record<string, Buffer | string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "namelens-"));
  folders.push(folder);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}

/** The first `count` things of the album. */
async function things(demo: Demo, count: number): Promise<Buffer[]> {
  const list = await demo.page.request.get(new URL("album/album.json", demo.page.url()).href);
  const photos = (await list.json()) as { file: string; alt: string; role: "reference" | "scene" }[];
  const references = photos.filter(({ role }) => role === "reference").slice(0, count);
  return Promise.all(references.map((photo) => demo.albumBytes(photo)));
}

/** Whether the photo that a thing on the shelf shows is this one, pixel by pixel. */
async function shows(demo: Demo, name: string, photo: Buffer): Promise<boolean> {
  const picture = demo.shelf.locator(".tag-item").filter({ has: demo.page.locator(".tag", { hasText: name }) }).locator("img.lens");
  await expect(picture).toHaveAttribute("src", /^blob:/);
  return picture.evaluate(async (shown: HTMLImageElement, bytes: number[]) => {
    // Drawn, not fetched: the page's policy lets nothing fetch a blob.
    const pixels = async (image: HTMLImageElement): Promise<string> => {
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext("2d")?.drawImage(image, 0, 0);
      return canvas.toDataURL();
    };
    const wanted = new Image();
    wanted.src = URL.createObjectURL(new Blob([new Uint8Array(bytes)]));
    const same = (await pixels(shown)) === (await pixels(wanted));
    URL.revokeObjectURL(wanted.src);
    return same;
  }, [...photo]);
}

const DATABASE = JSON.stringify({
  concept_dict: {
    "<ada>": { name: "Ada", image: "./train/a/0.png", info: ["red", "likes jam"], category: "toy" },
    "<bob>": { name: "Bob", image: "./train/b/0.png", info: "", category: "toy" },
  },
  path_to_concept: { "train/a/0.png": "<ada>", "./train/b/0.png": "<bob>", "hinton.jpg": "<C" },
});

test("photos of one name in two folders stay with their things", async ({ page, demo }) => {
  await demo.open();
  const [ada, bob] = (await things(demo, 2)) as [Buffer, Buffer];
  const folder = await folderOf({
    "database.json": `\uFEFF${DATABASE}`,
    "id2filename.json": '{"0": "./train/a/0.png"}',
    "image.faiss": "an index of theirs",
    "train/a/0.png": ada,
    "train/b/0.png": bob,
    "train/c/0.png": "of no thing",
  });
  await demo.shelf.getByLabel("Import things from a folder").setInputFiles(folder);
  await expect(demo.tag("Ada")).toBeVisible();
  await expect(demo.tag("Bob")).toBeVisible();
  await expect(demo.shelf.locator(".tag")).toHaveCount(2);
  expect(await shows(demo, "Ada", ada)).toBe(true);
  expect(await shows(demo, "Bob", bob)).toBe(true);
  await expect(page.locator("#notices")).toContainText('path_to_concept["hinton.jpg"]');
  await expect(page.getByRole("alert")).toHaveCount(0);
  // They are known, and of one photo each.
  expect(await demo.captionScene()).toContain("Ada");
});

test("where a photo is missing or could be several things', nobody gets it", async ({ page, demo }) => {
  await demo.open();
  const [ada] = (await things(demo, 1)) as [Buffer];
  const missing = await folderOf({ "database.json": DATABASE, "train/a/0.png": ada });
  await demo.shelf.getByLabel("Import things from a folder").setInputFiles(missing);
  await expect(page.locator("#notices")).toContainText("the photo `./train/b/0.png` was not given");
  await expect(demo.tag("Ada")).toBeVisible();
  await expect(demo.shelf.locator(".tag")).toHaveCount(1);
  expect(await shows(demo, "Ada", ada)).toBe(true);

  await demo.shelf.getByRole("button", { name: "Delete Ada" }).click();
  await expect(demo.shelf.locator(".tag")).toHaveCount(0);
  // Chosen one by one, files have no folders.
  const files = [
    { name: "database.json", mimeType: "application/json", buffer: Buffer.from(DATABASE) },
    { name: "0.png", mimeType: "image/png", buffer: ada },
  ];
  await demo.shelf.getByLabel("Import things from a file").setInputFiles(files);
  await expect(page.getByRole("alert")).toContainText("cannot be imported");
  await expect(demo.shelf.locator(".tag")).toHaveCount(0);
});
