// NameLens as its npm package is: a worker, `ask` without a photo, greedy.

import { NameLens } from "/package/dist/index.js";

/** Tokens of the prompt that are not read again: the system's words and the start of the user's turn. */
export const KNOWN = 24;

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
      const { raw, finish, tokens: count } = await lens.ask(null, question, { sampling, maxTokens: tokens });
      return { text: raw, finish, prompt: count.prompt, written: count.generated };
    },
    async write({ question, tokens: maxTokens }, onToken) {
      const { tokens } = await lens.ask(null, question, { sampling, maxTokens, onToken });
      return { read: tokens.prompt - (tokens.reused ?? 0), written: tokens.generated };
    },
    close: () => lens.dispose(),
  };
}
