// How the packed package is tried in other people's set-ups: one app after another, in a real Chromium, on the CPU.

import { defineConfig } from "@playwright/test";
import { launch } from "./launch.js";

export default defineConfig({
  testDir: ".",
  // Bundlers and the engine take every core they can get.
  workers: 1,
  // An installation, a build and five captions on a machine that has other work; what still waits then would wait for ever.
  timeout: 900_000,
  expect: { timeout: 400_000 },
  forbidOnly: true,
  outputDir: "../../test-results/packages",
  reporter: "list",
  use: { launchOptions: launch(), screenshot: "off", trace: "off" },
});
