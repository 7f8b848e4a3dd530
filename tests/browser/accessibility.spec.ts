// For everybody: axe finds nothing in any state or theme, the story works from the keyboard alone, nothing overflows.

import { expectNoViolations, tabTo } from "./accessible.js";
import { expect, test } from "./page.js";

const NAME = "Otto";

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing to complain about in ${colorScheme}`, async ({ page, demo }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await demo.open();
    await expectNoViolations(page, "at first");
    await demo.things.locator(".thumb").first().click();
    await page.getByText("More about it").click();
    await expectNoViolations(page, "naming");
    await demo.name(NAME);
    await demo.captionScene();
    await expectNoViolations(page, "captioned");
    await demo.shelf.getByRole("button", { name: `Edit ${NAME}` }).click();
    await expectNoViolations(page, "editing");
    const bad = { name: "bad.png", mimeType: "image/png", buffer: Buffer.from("no picture") };
    await demo.photo.getByLabel("Your photo:").setInputFiles(bad);
    await expect(page.getByRole("alert")).toBeVisible();
    await expectNoViolations(page, "with an error");
    await page.getByRole("button", { name: "What is this?" }).click();
    await expectNoViolations(page, "with the dialog");
  });
}

test("the story from the keyboard alone, and read out", async ({ page, demo }) => {
  await demo.open();
  await page.evaluate(() => {
    const said: string[] = [];
    const live = document.querySelector("#live") as HTMLElement;
    new MutationObserver(() => said.push(live.textContent ?? "")).observe(live, { childList: true, characterData: true, subtree: true });
    Object.assign(window, { said });
  });
  await tabTo(page, "#things .thumb");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("What is it called?")).toBeFocused();
  await page.keyboard.type(NAME);
  await page.keyboard.press("Enter");
  await expect(demo.tag(NAME)).toBeVisible();
  await expect(demo.photo).toBeFocused();
  await tabTo(page, "#photo .thumb");
  const enter = (): Promise<void> => page.keyboard.press("Enter");
  expect(await demo.run(enter)).toContain(NAME);
  await tabTo(page, "#question");
  await page.keyboard.type(`What is ${NAME} wearing?`);
  await demo.run(enter);
  await expect(demo.answer).not.toBeEmpty();
  const said = await page.evaluate(() => (window as unknown as { said: string[] }).said);
  expect(said.join(" ")).toContain(`${NAME} is named`);
  const caption = (await demo.caption.textContent()) ?? "";
  expect(said.join(" ").replace(/\s+/g, " ")).toContain(caption.trim().split(" ").at(-1) ?? "?");
});

for (const width of [360, 390, 768, 1280]) {
  test(`nothing overflows at ${width} pixels`, async ({ page, demo }, info) => {
    await page.setViewportSize({ width, height: 800 });
    await demo.open();
    await demo.name("A name of sixty-four characters that has hardly any place to be.");
    await demo.captionScene();
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: info.outputPath(`${width}-${colorScheme}.png`), fullPage: true });
    }
  });
}

test("the theme can be chosen and stays", async ({ page, demo }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await demo.goto();
  const background = (): Promise<string> => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await background();
  const button = page.getByRole("button", { name: /change the theme$/ });
  await button.click(); // system -> light
  expect(await background()).toBe(light);
  await button.click(); // light -> dark
  expect(await background()).not.toBe(light);
  await page.reload();
  expect(await background()).not.toBe(light);
});
