// A new Chromium with an empty page of the bench's server in it.

import { chromium as playwright } from "playwright-core";

/** Quiet, and with nothing to do but the page. */
const ARGS = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts it; `profile` is a folder whose caches outlive the process, `more` are further arguments. */
export async function browser(executablePath, url, profile = "", more = []) {
  const options = { executablePath, args: [...ARGS, ...more] };
  const started = profile ? await playwright.launchPersistentContext(profile, options) : await playwright.launch(options);
  const page = await started.newPage();
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(url);
  return { page, started, close: () => started.close() };
}
