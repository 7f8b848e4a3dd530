// How Chromium is started for these specs: quiet, without WebGPU.

import type { LaunchOptions } from "@playwright/test";

/** Options of Playwright; `more` are arguments of Chromium. */
export const launch = (...more: string[]): LaunchOptions => ({
  executablePath: process.env.NAMELENS_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=WebGPU,WebGPUService",
    "--disable-blink-features=WebGPU",
    ...more,
  ],
});
