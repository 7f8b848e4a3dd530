// How the browser specs run: against a served page (NAMELENS_URL), in a real Chromium, once with WebGPU and once without.

import { defineConfig } from "@playwright/test";

const url = process.env.NAMELENS_URL;
if (!url) {
  throw new Error("NAMELENS_URL is not set: `cargo xtask test --only browser` builds, serves and tests the page");
}

/** Quiet and deterministic; the camera is a generated picture. */
const COMMON = [
  "--no-sandbox",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

const browser = (...args: string[]) => ({
  executablePath: process.env.NAMELENS_CHROMIUM ?? "/usr/bin/chromium",
  args: [...COMMON, ...args],
});

export default defineConfig({
  testDir: ".",
  // The engine takes every core it can get, and a software GPU is slow: one at a time, with patience.
  workers: 1,
  timeout: 1_200_000,
  expect: { timeout: 60_000 },
  forbidOnly: true,
  outputDir: "../../test-results/browser",
  reporter: "list",
  use: { baseURL: url, viewport: { width: 1280, height: 900 }, screenshot: "only-on-failure", trace: "off" },
  projects: [
    {
      name: "webgpu",
      metadata: { device: "webgpu" },
      // What must hold on both devices; the rest does not depend on where the model runs.
      testMatch: ["story.spec.ts", "families.spec.ts", "photos-webgpu.spec.ts", "dispatches-webgpu.spec.ts", "offline-webgpu.spec.ts"],
      // Minutes each on a software GPU; the story's model is of the one family this leaves to the processor.
      grep: /story\.spec|qwen|-webgpu/,
      // A caption takes the better part of a minute on a software GPU.
      expect: { timeout: 300_000 },
      use: { launchOptions: browser("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader") },
    },
    {
      name: "cpu",
      metadata: { device: "cpu" },
      testIgnore: /-webgpu\.spec\.ts/,
      // Seconds each; what still waits after minutes would wait for ever.
      timeout: 240_000,
      use: { launchOptions: browser("--disable-features=WebGPU,WebGPUService", "--disable-blink-features=WebGPU") },
    },
  ],
});
