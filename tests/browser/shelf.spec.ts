// Things that no file can hold: they are deleted all the same, and the others are carried elsewhere.

import { readFile } from "node:fs/promises";
import type { Download, Page } from "@playwright/test";
import { expect, test, type Demo } from "./page.js";

/** From now on the engine refuses to export more than `most` things at once, and of those whose name is `large` any; as where photos are too large for a file. */
async function limit(page: Page, most: number, large: string): Promise<void> {
  await page.evaluate(
    ({ most, large }) => {
      const refused = new Set([...document.querySelectorAll<HTMLElement>(".tag-item")].filter((item) => item.textContent?.includes(large)).map((item) => item.dataset.id));
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (this: Worker, message: { id: number; name?: string; input?: { ids: string[] } }, transfer: StructuredSerializeOptions) {
        const { id, name, input } = message;
        const ids = name === "exportConcepts" ? (input?.ids ?? []) : [];
        if (ids.length <= most && !ids.some((id) => refused.has(id))) return post.call(this, message, transfer);
        const error = { code: "bundle", message: "concept bundle: the file: it has 70 MiB; at most 64 are possible" };
        this.dispatchEvent(new MessageEvent("message", { data: { type: "failed", id, error } }));
      } as typeof post;
    },
    { most, large },
  );
}

/** The names in the files that "Export" saves, file by file. */
async function exported(demo: Demo, files: number): Promise<string[][]> {
  const saved: Download[] = [];
  demo.page.on("download", (download) => saved.push(download));
  await demo.shelf.getByRole("button", { name: "Export" }).click();
  await expect.poll(() => saved.length).toBe(files);
  const texts = await Promise.all(saved.map(async (download) => readFile(await download.path(), "utf8")));
  return texts.map((text) => (JSON.parse(text) as { concepts: { name: string }[] }).concepts.map(({ name }) => name));
}

test("a thing that is too large for a copy is deleted when that was asked", async ({ page, demo }) => {
  await demo.open();
  await demo.name("Miso");
  await demo.name("Mochi", 1);
  await limit(page, 1, "Miso");
  await demo.shelf.getByRole("button", { name: "Delete Miso" }).click();
  const sure = demo.shelf.getByRole("button", { name: "Delete for good? Miso" });
  await expect(sure).toBeFocused();
  await expect(page.locator("#notices")).toContainText("Miso could not be brought back");
  // Whoever goes elsewhere has not said yes.
  await demo.shelf.getByRole("button", { name: "Edit Miso" }).focus();
  await expect(sure).toHaveCount(0);
  await demo.shelf.getByRole("button", { name: "Delete Miso" }).click();
  await expect(demo.tag("Miso")).toBeVisible();
  await sure.click();
  await expect(demo.tag("Miso")).toHaveCount(0);
  await expect(demo.shelf.getByRole("button", { name: /^Bring/ })).toHaveCount(0);
  await expect(demo.shelf.getByRole("button", { name: "Edit Mochi" })).toBeFocused();
  await expect(page.locator("#notices")).toBeEmpty();
  // Of the others there is a copy.
  await demo.shelf.getByRole("button", { name: "Delete Mochi" }).click();
  await expect(demo.shelf.getByRole("button", { name: "Bring Mochi back" })).toBeFocused();
  await page.reload();
  await demo.loaded();
  await expect(demo.shelf.locator(".tag")).toHaveCount(0);
});

test("things that are too large for one file are exported in several, and what no file can hold is told", async ({ page, demo }) => {
  await demo.open();
  for (const [at, name] of ["Miso", "Mochi", "Pip"].entries()) await demo.name(name, at);
  await limit(page, 2, "nothing");
  expect(await exported(demo, 2)).toEqual([["Miso"], ["Mochi", "Pip"]]);
  await expect(page.locator("#notices")).toContainText("Exported as 2 files");
  await expect(page.getByRole("alert")).toHaveCount(0);

  await page.reload();
  await demo.loaded();
  await limit(page, 2, "Mochi");
  expect(await exported(demo, 2)).toEqual([["Miso"], ["Pip"]]);
  await expect(page.getByRole("alert")).toContainText(/Not exported: Mochi.*It stays here.*at most 64 are possible/s);
  await expect(demo.shelf.locator(".tag")).toHaveCount(3);
});
