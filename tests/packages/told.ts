// What every spec asks of an app's page: how its story ended, and that nothing else was said on the way.

import { expect, type Page } from "@playwright/test";

/** How a story ended: with a caption, or with an error. */
export interface Outcome {
  readonly text?: string;
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** Opens a page and waits for the end of its story. */
export async function outcomeOf<T = Outcome>(page: Page, url: string): Promise<T> {
  await page.goto(url);
  await expect(page.locator("body")).toHaveAttribute("data-outcome", /./);
  return JSON.parse((await page.locator("body").getAttribute("data-outcome")) ?? "") as T;
}

/** The address with options of `NameLens.create`. */
export const withOptions = (url: string, options: object): string => `${url}?${encodeURIComponent(JSON.stringify(options))}`;

/** Collects what the page and its workers complain about. */
export function complaints(page: Page): string[] {
  const said: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") said.push(message.text());
  });
  page.on("pageerror", (error) => said.push(error.message));
  return said;
}
