// A photo in turns by ours and the peer, each time in a new browser: `node photo_run.mjs URL CHROMIUM SETTINGS`; a line of JSON each.

import { browser } from "./browser.mjs";

const [url, chromium, given] = process.argv.slice(2);
const { rounds, ...settings } = JSON.parse(given);

for (let round = 0; round < rounds; round += 1) {
  for (const engine of ["namelens", "tower"]) {
    const { page, close } = await browser(chromium, url);
    try {
      const measured = await page.evaluate(async ([engine, settings]) => (await import("/photo.mjs"))[engine](settings), [engine, settings]);
      console.log(JSON.stringify({ engine, round, ...measured }));
    } finally {
      await close();
    }
  }
}
