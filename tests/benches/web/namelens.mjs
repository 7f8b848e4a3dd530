// NameLens as its npm package is: a worker, `ask` without a photo, greedy.

import { NameLens } from "/package/dist/index.js";

/** Tokens of the prompt that are not read again: the system's words and the start of the user's turn. */
export const KNOWN = 24;

/** Likeliest tokens that are told of each step: more than the reference names, for the last of its may come a place later here. */
const TOLD = 12;

/** See `page.mjs`. */
export async function open({ model, threads }) {
  const name = model.split("/").at(-1);
  const files = new Map([[name, await (await fetch(model)).blob()]]);
  const lens = await NameLens.create({ model: files, device: "cpu", threads, storage: "memory" });
  const sampling = { temperature: 0 };
  return {
    threads: lens.info.threads,
    version: null,
    async answer({ question, tokens }) {
      const { logprobs, tokens: count } = await lens.ask(null, question, { sampling, maxTokens: tokens, topLogprobs: TOLD });
      const steps = logprobs.map(({ id, topLogprobs }) => ({ id, tops: topLogprobs.map((one) => [one.id, one.logprob]) }));
      return { steps, prompt: count.prompt };
    },
    async write({ question, tokens: maxTokens }, onToken) {
      const { tokens } = await lens.ask(null, question, { sampling, maxTokens, onToken });
      return { read: tokens.prompt - (tokens.reused ?? 0), written: tokens.generated };
    },
    close: () => lens.dispose(),
  };
}
