// Starts the page cold, and warm with the same profile: `node start.mjs PAGE BENCH CHROMIUM PROFILES ROUNDS`; a line of JSON each.

import { join } from "node:path";
import { browser } from "./browser.mjs";

const [url, bench, chromium, profiles, rounds] = process.argv.slice(2);

/** What a visitor does once the page is ready, and what ends the wait. */
const ROOMS = {
  // A scene of the album is captioned; its first words stand on the page.
  playroom: { query: "?room=playroom", press: "#photo .thumb", seen: "#caption:not(:empty)" },
  // A photo of the album is looked at; the thing in it has a box.
  photos: { query: "", press: "#show .thumb", seen: ".editor-box:visible" },
};

for (let round = 0; round < +rounds; round += 1) {
  for (const [room, does] of Object.entries(ROOMS)) {
    const profile = join(profiles, `${room}-${round}`);
    for (const start of ["cold", "warm"]) {
      const line = { room, start, round, ...(await started(does, profile)) };
      console.log(JSON.stringify(line));
    }
  }
}

async function started({ query, press, seen }, profile) {
  const { started: context, page, close } = await browser(chromium, bench, profile);
  try {
    const instantiate = await page.evaluate(instance);
    await context.addInitScript(() => {
      const tasks = [];
      Object.assign(window, { tasks });
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ startTime, duration }) => [startTime, duration]))).observe({ type: "longtask", buffered: true });
    });
    const begin = performance.now();
    await page.goto(new URL(query, url).href, { waitUntil: "commit" });
    await page.waitForFunction(() => document.documentElement.hasAttribute("data-device") && document.querySelector("#loading")?.hidden, undefined, { polling: "raf", timeout: 120_000 });
    const ready = performance.now();
    // The press comes from the browser, so that a slow page keeps it waiting as it would a visitor.
    await page.locator(press).first().click();
    await page.locator(seen).first().waitFor({ state: "attached", timeout: 120_000 });
    const first = performance.now();
    // Long tasks are told when they are over.
    await page.waitForTimeout(1000);
    const tasks = await page.evaluate(() => window.tasks);
    const longest = Math.max(0, ...tasks.map(([, duration]) => duration));
    return { instantiate, ready: ready - begin, first: first - ready, total: first - begin, longest, tasks };
  } finally {
    await close();
  }
}

/** In a page of the bench: the module fetched, compiled and instantiated. */
async function instance() {
  const { default: load } = await import("/package/wasm/namelens_cpu.js");
  const start = performance.now();
  await load({ module_or_path: fetch("/package/wasm/namelens_cpu_bg.wasm") });
  return performance.now() - start;
}
