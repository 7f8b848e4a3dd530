// The room of real photographs for everybody: axe finds nothing, the keyboard alone does it all, nothing overflows, nothing jumps.

import { overlap, photoPath, Photos } from "./photos.js";
import { expectNoViolations, tabTo } from "./accessible.js";
import { expect, test } from "./page.js";

const NAME = "Otto";

test("axe finds nothing to complain about, light and dark", async ({ page }) => {
  const photos = new Photos(page);
  const both = async (state: string): Promise<void> => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      await expectNoViolations(page, `${state}, ${colorScheme}`);
    }
  };
  await photos.open();
  await both("at first");
  await photos.pick();
  await both("with a box");
  await photos.name(NAME);
  const bad = { name: "bad.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
  await photos.find.getByLabel("Your photos:").setInputFiles([photoPath("collie-leaves"), photoPath("cat-close")]);
  await photos.look(bad);
  await both("with results");
  await photos.card("collie-leaves.jpg").getByRole("button").click();
  await both("one of them large");
  await page.keyboard.press("Escape");
  await photos.show.locator(".thumb").nth(3).click();
  await photos.proposed();
  await both("with another box");
});

test("a thing is boxed, named and found from the keyboard alone, and read out; nothing jumps meanwhile", async ({ page }) => {
  const photos = new Photos(page);
  await photos.open();
  await page.evaluate(() => {
    const said: string[] = [];
    const live = document.querySelector("#live") as HTMLElement;
    new MutationObserver(() => said.push(live.textContent ?? "")).observe(live, { childList: true });
    const shifts = { sum: 0 };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (!entry.hadRecentInput) shifts.sum += entry.value;
      }
    }).observe({ type: "layout-shift" });
    Object.assign(window, { said, shifts });
  });
  await tabTo(page, "#show .thumb");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("What is it called?")).toBeFocused();
  await photos.proposed();

  await tabTo(page, ".editor-box", "Shift+Tab");
  const first = await photos.boxed();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  const moved = await photos.boxed();
  expect(moved[0] - first[0]).toBeCloseTo(0.02);
  expect(moved[3] - first[3]).toBeCloseTo(0.02);
  await page.keyboard.press("Shift+ArrowLeft");
  expect((await photos.boxed())[2]).toBeLessThan(moved[2]);
  await page.keyboard.press("Home");
  expect(overlap(await photos.boxed(), first)).toBeCloseTo(1);
  await page.keyboard.press("ArrowLeft");
  await expect(photos.box).toHaveAttribute("aria-label", /^Box round the thing: \d+ % from the left, \d+ % from the top, \d+ % wide and \d+ % high$/);
  await photos.proposed();

  await tabTo(page, "#thing-name");
  await page.keyboard.type(NAME);
  await photos.settle(() => page.keyboard.press("Enter"));
  await expect(photos.find).toBeFocused();
  await tabTo(page, ".filter button");
  await tabTo(page, ".card-open");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(photos.find.locator(".card-open").first()).toBeFocused();

  const { said, shifts } = await page.evaluate(() => {
    const { said, shifts } = window as unknown as { said: string[]; shifts: { sum: number } };
    return { said, shifts: shifts.sum };
  });
  const all = said.join(" ");
  for (const words of ["A box is proposed.", "The box is", `${NAME} is named`, `photos were looked through: ${NAME} in`]) expect(all).toContain(words);
  expect(shifts).toBeLessThan(0.1);
});

for (const width of [360, 768, 1280]) {
  test(`nothing overflows at ${width} pixels`, async ({ page }, info) => {
    await page.setViewportSize({ width, height: 900 });
    const photos = new Photos(page);
    await photos.open();
    await photos.pick();
    const fits = async (): Promise<void> => expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await fits();
    await page.screenshot({ path: info.outputPath(`${width}-box.png`), fullPage: true });
    await photos.name("A name of sixty-four characters that has hardly any place to be.");
    await fits();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: info.outputPath(`${width}-${colorScheme}.png`), fullPage: true });
    }
  });
}
