// The packed package in a page of a browser extension (Manifest V3), under the policy that such pages have.

import { createHash } from "node:crypto";
import { chromium, expect, test } from "@playwright/test";
import { launch } from "./launch.js";
import { add, fixture, plain } from "./stage.js";
import { complaints, outcomeOf, withOptions } from "./told.js";

test("an extension's page", async () => {
  const folder = await plain("extension");
  await add("extension", folder);
  const context = await chromium.launchPersistentContext("", launch(`--disable-extensions-except=${folder}`, `--load-extension=${folder}`));
  try {
    const page = await context.newPage();
    const said = complaints(page);
    const url = `chrome-extension://${idOf(folder)}/plain.html`;
    expect(await outcomeOf(page, url)).toEqual({ text: fixture.text });
    expect(await outcomeOf(page, withOptions(url, { worker: false }))).toEqual({ text: fixture.text });
    expect(said).toEqual([]);
  } finally {
    await context.close();
  }
});

/** What Chromium calls an unpacked extension: the digest of its folder, in letters from `a` to `p`. */
function idOf(folder: string): string {
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 32);
  return digest.replace(/./g, (digit) => String.fromCharCode(97 + parseInt(digit, 16)));
}
