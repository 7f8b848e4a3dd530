// A photo in turns by ours and the peer, each time in a new browser: `node photo_run.mjs URL CHROMIUM SETTINGS`; a line of JSON each.

import { browser } from "./browser.mjs";

const [url, chromium, given] = process.argv.slice(2);
const { rounds, threads, ...settings } = JSON.parse(given);
const turns = threads.flatMap((threads) => ["namelens", "tower"].map((engine) => ({ engine, threads })));

for (let round = 0; round < rounds; round += 1) {
  for (const { engine, threads } of turns) {
    const { page, close } = await browser(chromium, url);
    try {
      const measured = await page.evaluate(async ([engine, settings]) => (await import("/photo.mjs"))[engine](settings), [engine, { ...settings, threads }]);
      console.log(JSON.stringify({ engine, threads, round, ...measured }));
    } finally {
      await close();
    }
  }
}
