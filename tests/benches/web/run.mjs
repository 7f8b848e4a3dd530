// Measures engines in turns, each time in a new browser: `node run.mjs URL CHROMIUM SETTINGS`; a line of JSON for each.
//
// SETTINGS: { rounds, engines, threads, warmUps, prompts, tokens, file, golden, gate }; what is served at URL says `xtask/src/bench/web.rs`.

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { browser } from "./browser.mjs";
import { roundTrip } from "./cores.mjs";
import { reader } from "./gguf_words.mjs";
import { judged } from "./judge.mjs";

const [url, chromium, given] = process.argv.slice(2);
const { rounds, engines, threads, warmUps, prompts, tokens, file, golden, gate } = JSON.parse(given);
const { cases, end: END } = JSON.parse(readFileSync(golden, "utf8"));
const read = reader(file);
const asked = cases.slice(0, gate).map((one) => ({ ...one, tokens: one.greedy.length }));
// What stands before the user's turn is the same for all.
const system = read(asked[0].ids).toString().split("<|im_start|>user")[0];

for (let round = 0; round < rounds; round += 1) {
  for (const engine of engines) {
    // Answers are looked at once: they are greedy.
    const gated = round === 0 ? asked.map(({ prompt, tokens }) => ({ prompt, tokens })) : [];
    const [name, own] = engine.split(":");
    const settings = { engine: name, threads: Number(own ?? threads), warmUps, prompts, tokens, gate: gated, system, model: `/model/${basename(file)}` };
    // How near the cores are changes between turns; what has one thread does not feel it.
    const before = settings.threads > 1 ? await roundTrip() : null;
    const measured = await once(settings);
    const roundTripNs = before && [before, await roundTrip()];
    const answers = measured.answers.map((answer, at) => judged(answer, asked[at], read, END));
    console.log(JSON.stringify({ engine, round, ...measured, roundTripNs, answers }));
  }
}

async function once(settings) {
  const { page, close } = await browser(chromium, url);
  try {
    return await page.evaluate(async (settings) => (await import("/page.mjs")).measure(settings), settings);
  } finally {
    await close();
  }
}
