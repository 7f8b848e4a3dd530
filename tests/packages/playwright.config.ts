// How the packed package is tried in other people's set-ups: one app after another, in a real Chromium, on the CPU.

import { defineConfig } from "@playwright/test";
import { launch } from "./launch.js";

export default defineConfig({
  testDir: ".",
  // Bundlers and the engine take every core they can get.
  workers: 1,
  // An installation and a build on a slow machine.
  timeout: 300_000,
  expect: { timeout: 180_000 },
  forbidOnly: true,
  outputDir: "../../test-results/packages",
  reporter: "list",
  use: { launchOptions: launch(), screenshot: "off", trace: "off" },
});
