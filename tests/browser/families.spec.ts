// Every family of checkpoints says in the browser, on either device, what it says natively.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "./page.js";

const at = (path: string): string => fileURLToPath(new URL(`../fixtures/${path}`, import.meta.url));

/** What the native engine says of the album's first scene with each checkpoint (tests/whole.rs). */
const said = JSON.parse(await readFile(at("scene.json"), "utf8")) as Record<string, string>;

for (const [name, text] of Object.entries(said)) {
  test(`${name} says in the browser what it says natively`, async ({ page, demo }) => {
    await demo.open();
    await page.getByRole("button", { name: "Change the model" }).click();
    await page.getByLabel("Load a model from a folder").setInputFiles(at(`checkpoints/${name}`));
    await expect(page.locator("#model-loaded")).toHaveText(new RegExp(`^Loaded: ${name},`));
    await expect(page.locator("#loading")).toBeHidden();
    expect(await demo.captionScene()).toBe(text);
  });
}
