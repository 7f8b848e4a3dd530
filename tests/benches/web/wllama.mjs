// wllama as npm ships it, on the same file as ours: ids of greedy answers, then the time of a prompt and of what is written after it.

import { Wllama } from "/peers/@wllama/wllama/esm/index.js";

const quiet = { debug() {}, log() {}, warn() {}, error() {} };

/** See `engines.mjs`. */
export async function open({ model, threads }) {
  const wllama = new Wllama({ default: "/peers/@wllama/wllama/esm/wasm/wllama.wasm" }, { suppressNativeLog: true, logger: quiet });
  const file = await (await fetch(model)).blob();
  await wllama.loadModel([file], { n_ctx: 1024, n_threads: threads, n_gpu_layers: 0, warmup: false });
  const settings = { temperature: 0, cache_prompt: false };
  return {
    threads: wllama.isMultithread() ? wllama.getNumThreads() : 1,
    version: Wllama.getLibllamaVersion(),
    async answer({ chat, tokens }) {
      const out = await wllama.createCompletion({ ...settings, prompt: chat, max_tokens: tokens, logprobs: 1 });
      return { text: out.choices[0].text, prompt: out.usage.prompt_tokens, ids: out.choices[0].logprobs?.content?.map(({ id }) => id) };
    },
    async write({ chat, tokens }, heard) {
      let usage = null;
      const onData = (chunk) => {
        usage = chunk.usage ?? usage;
        if (chunk.choices[0]?.text) heard();
      };
      await wllama.createCompletion({ ...settings, prompt: chat, max_tokens: tokens, ignore_eos: true, stream: true, stream_options: { include_usage: true }, onData });
      return { read: usage?.prompt_tokens, written: usage?.completion_tokens };
    },
    close: () => wllama.exit(),
  };
}
