// The download page for everybody: axe finds nothing in any state or theme, the keyboard is enough, nothing overflows.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, SHARD, test } from "./downloads.js";

async function expectNoViolations(page: Page, state: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${state}: ${id} at ${nodes.map(({ target }) => target).join(", ")}`);
  expect(found).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing to complain about on the download page in ${colorScheme}`, async ({ page, downloads, hub }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await downloads.open();
    await expectNoViolations(page, "at first");
    hub.faults.stall = { path: SHARD, after: 30_000 };
    await downloads.start();
    await expect.poll(() => hub.ranges(SHARD).length).toBe(1);
    await expectNoViolations(page, "downloading");
    await downloads.card.getByRole("button", { name: /^Pause/ }).click();
    await expectNoViolations(page, "paused");
    await downloads.lookUp("org/gated");
    await expect(page.locator("#other").getByRole("alert")).toBeVisible();
    await expectNoViolations(page, "refused");
    await downloads.lookUp("org/gguf");
    await expect(page.getByLabel("Which file")).toBeVisible();
    hub.reset();
    await downloads.card.getByRole("button", { name: /^Go on/ }).click();
    await downloads.ready();
    await downloads.card.getByRole("button", { name: /^Delete/ }).click();
    await expectNoViolations(page, "ready, asked whether to delete");
  });
}

/** Presses Tab until the focused element has this label; every stop on the way must be seen to have the focus. */
async function tabTo(page: Page, label: RegExp): Promise<void> {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    const { name, visible } = await page.evaluate(() => {
      const element = document.activeElement as HTMLElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const name = element.getAttribute("aria-label") ?? (element as HTMLInputElement).labels?.[0]?.textContent ?? element.textContent ?? "";
      return { name, visible: element === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2) };
    });
    expect(visible, `the focus cannot be seen on ${name}`).toBe(true);
    if (label.test(name)) return;
  }
  throw new Error(`80 presses of Tab do not reach ${label}`);
}

/** What is here is told two seconds late, as by a disk that is busy. */
function slowDisk(): void {
  const { getDirectory } = StorageManager.prototype;
  StorageManager.prototype.getDirectory = async function (this: StorageManager) {
    await new Promise((done) => setTimeout(done, 2000));
    return getDirectory.call(this);
  };
}

test("from the keyboard alone, and read out; a list that comes late takes no button away", async ({ page, downloads }) => {
  await downloads.open();
  await page.evaluate(slowDisk);
  await page.evaluate(() => {
    const said: string[] = [];
    const live = document.querySelector("#live") as HTMLElement;
    new MutationObserver(() => said.push(live.textContent ?? "")).observe(live, { childList: true, characterData: true, subtree: true });
    Object.assign(window, { said });
  });
  await tabTo(page, /^Download .*: SmolVLM 256M/);
  await page.keyboard.press("Enter");
  await downloads.ready();
  await expect(downloads.card.getByRole("link", { name: "Use it: SmolVLM 256M" })).toBeFocused();
  expect(await page.evaluate(() => (window as unknown as { said: string[] }).said)).toContain("SmolVLM 256M is here and can be used");
  await tabTo(page, /^Delete SmolVLM 256M/);
  await page.keyboard.press("Enter");
  await expect(page.locator("#room")).toContainText("Models here");
  await expect(downloads.card.getByRole("button", { name: /^Delete .*\? SmolVLM 256M/ })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(downloads.card.getByRole("button", { name: /^Download/ })).toBeFocused();
  await tabTo(page, /^Repository on Hugging Face/);
  await page.keyboard.type("org/small");
  await page.keyboard.press("Enter");
  await expect(page.locator("#other").getByRole("article")).toBeVisible();
});

for (const width of [320, 390, 768, 1280]) {
  test(`nothing overflows on the download page at ${width} pixels`, async ({ page, downloads, hub }, info) => {
    await page.setViewportSize({ width, height: 800 });
    await downloads.open();
    hub.faults.stall = { path: SHARD, after: 60_000 };
    await downloads.start();
    await expect.poll(() => hub.ranges(SHARD).length).toBe(1);
    await downloads.card.getByRole("button", { name: /^Pause/ }).click();
    await downloads.lookUp("org/small");
    const small = page.locator("#other").getByRole("article");
    hub.reset();
    await small.getByRole("button", { name: /^Download/ }).click();
    await downloads.ready(small);
    hub.faults.wrong = { path: SHARD };
    await downloads.card.getByRole("button", { name: /^Go on/ }).click();
    await expect(downloads.card.getByRole("alert")).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: info.outputPath(`${width}-${colorScheme}.png`), fullPage: true });
    }
    await page.goto("./");
    await page.getByRole("button", { name: "Change the model" }).click();
    await expect(page.locator(".stored li")).toHaveCount(2);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.screenshot({ path: info.outputPath(`${width}-dialog.png`) });
  });
}
