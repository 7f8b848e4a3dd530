// wllama as npm ships it, on the same file as ours: greedy answers, then the time of a prompt and of what is written after it.

import { Wllama } from "/peers/@wllama/wllama/esm/index.js";

const quiet = { debug() {}, log() {}, warn() {}, error() {} };

/** See `page.mjs`. */
export async function open({ model, threads }) {
  const wllama = new Wllama({ default: "/peers/@wllama/wllama/esm/wasm/wllama.wasm" }, { suppressNativeLog: true, logger: quiet });
  const file = await (await fetch(model)).blob();
  await wllama.loadModel([file], { n_ctx: 1024, n_threads: threads, n_gpu_layers: 0, warmup: false });
  const complete = async (chat, settings, heard) => {
    let [text, usage] = ["", null];
    const onData = (chunk) => {
      usage = chunk.usage ?? usage;
      const delta = chunk.choices[0]?.text ?? "";
      text += delta;
      if (delta) heard();
    };
    await wllama.createCompletion({ ...settings, prompt: chat, temperature: 0, cache_prompt: false, stream: true, stream_options: { include_usage: true }, onData });
    return { text, usage };
  };
  return {
    threads: wllama.isMultithread() ? wllama.getNumThreads() : 1,
    version: Wllama.getLibllamaVersion(),
    async answer({ chat, tokens }) {
      const { text, usage } = await complete(chat, { max_tokens: tokens }, () => undefined);
      return { text, prompt: usage?.prompt_tokens };
    },
    async write({ chat, tokens }, heard) {
      const { usage } = await complete(chat, { max_tokens: tokens, ignore_eos: true }, heard);
      return { read: usage?.prompt_tokens, written: usage?.completion_tokens };
    },
    close: () => wllama.exit(),
  };
}
