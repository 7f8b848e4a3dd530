// What the specs of accessibility share: axe, and the focus on its way from the keyboard alone.

import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";

/** Fails where axe finds anything; `state` says in which state of the page. */
export async function expectNoViolations(page: Page, state: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, nodes }) => `${state}: ${id} at ${nodes.map(({ target }) => target).join(", ")}`);
  expect(found).toEqual([]);
}

/** Presses Tab, or Shift and Tab, until the focused element matches; every stop on the way must be seen to have the focus. */
export async function tabTo(page: Page, selector: string, key = "Tab"): Promise<void> {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press(key);
    const { there, visible, what } = await page.evaluate((selector) => {
      const element = document.activeElement as HTMLElement;
      // A file input is invisible itself; the label around it shows the focus.
      const shown = element.closest("label") ?? element;
      const { outlineStyle, outlineWidth } = getComputedStyle(shown);
      return {
        there: element.matches(selector),
        visible: element === document.body || (outlineStyle !== "none" && parseFloat(outlineWidth) >= 2),
        what: element.outerHTML.slice(0, 120),
      };
    }, selector);
    expect(visible, `the focus cannot be seen on ${what}`).toBe(true);
    if (there) return;
  }
  throw new Error(`80 presses of ${key} do not reach ${selector}`);
}
