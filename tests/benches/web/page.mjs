// Measures one engine in a page of its own: answers that a gate looks at, a warm-up, and what prompts take, by the page's clock.
//
// An engine is a file with `open({ model, threads })`, which resolves to `{ threads, version, answer?, write, close }`:
// `answer({ question, chat, tokens })` gives the greedy answer: its `text`, or `steps` with each token's `id` and the likeliest,
// `tops`; `write({ question, chat, read, tokens }, heard)` reads a prompt and writes tokens, calls `heard` for each and resolves to how
// many it read and wrote.

/** A prompt whose question ends with `words` words of one token each. */
const question = (verb, words) => {
  const list = ["the", "river", "of", "stone", "light", "green", "house", "bird", "cloud", "road", "tree"];
  return `${verb} a long story with these words:${Array.from({ length: words }, (_, at) => ` ${list[(at * 7 + at * at) % list.length]}`).join("")}`;
};

/** Tokens of such a prompt beside those words, all of the chat included. */
const AROUND = 38;

/** Different from the first word on, so that nothing but the system's words is known from the run before. */
const VERBS = ["Write", "Tell", "Give", "Find", "Make", "Read", "Show", "Take", "Send", "Bring"];

/**
 * Runs in the page. Each engine is asked so many times before anything counts, as much as of the first prompt: what is called often is compiled
 * well by then. Helpers of several threads need more than one warm-up, because nothing is left of two cores for the browser's compiler.
 */
export async function measure({ engine, model, threads, warmUps, prompts, tokens, gate, system }) {
  const start = performance.now();
  const module = await import(`./${engine.split("-")[0]}.mjs`);
  const opened = await module.open({ engine, model, threads });
  const load = performance.now() - start;
  const chat = (user) => `${system}<|im_start|>user\n${user}<|im_end|>\n<|im_start|>assistant\n`;
  const answers = [];
  for (const one of opened.answer ? gate : []) answers.push(await opened.answer({ question: one.prompt, chat: chat(one.prompt), tokens: one.tokens }));
  const runs = [];
  for (const [at, prompt] of [...Array(warmUps).fill(prompts[0]), ...prompts].entries()) {
    const text = question(VERBS[at % VERBS.length], prompt - AROUND + (module.KNOWN ?? 0));
    runs.push({ prompt, ...(await timed(opened, { question: text, chat: chat(text), read: prompt, tokens })) });
  }
  await opened.close();
  return { load, threads: opened.threads, version: opened.version, isolated: crossOriginIsolated, answers, warmUps: runs.slice(0, warmUps), runs: runs.slice(warmUps) };
}

async function timed(opened, prompt) {
  let [first, heard] = [0, 0];
  const start = performance.now();
  const { read, written } = await opened.write(prompt, () => {
    first ||= performance.now();
    heard += 1;
  });
  const end = performance.now();
  return { read, written, heard, firstMs: first - start, prefill: (read / (first - start)) * 1e3, decode: ((written - 1) / (end - first)) * 1e3 };
}
