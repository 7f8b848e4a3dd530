// What every spec asks of an app's page: how its story ended, and that nothing else was said on the way.

import { expect, type Page } from "@playwright/test";
import { ISOLATED, site } from "./server.js";

/** How a story ended: with a caption, or with an error. */
export interface Outcome {
  readonly text?: string;
  /** Where a number of them was asked for. */
  readonly threads?: number;
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

/** Serves the folder as a page that may have threads, and opens `path` of it with two. */
export async function outcomeWithThreads(page: Page, folder: string, path = "", more = {}): Promise<Outcome> {
  const server = await site(folder, { headers: ISOLATED });
  try {
    return await outcomeOf(page, withOptions(`${server.url}${path}`, { threads: 2, ...more }));
  } finally {
    await page.goto("about:blank");
    await server.stop();
  }
}

/** Collects what the page and its workers complain about. */
export function complaints(page: Page): string[] {
  const said: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error") said.push(message.text());
  });
  page.on("pageerror", (error) => said.push(error.message));
  return said;
}
