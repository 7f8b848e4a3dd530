// What a token on WebGPU costs the page's worker: `node launches.mjs URL CHROMIUM TOKENS`; one line of JSON.
//
// From the moment the result of a token is there to the moment that of the next is asked for, which is the host's part: the token is
// chosen, shown, and the work of the next handed to the GPU. What the GPU does meanwhile is not in it, nor how long it takes.

import { browser } from "./browser.mjs";

const [url, chromium, tokens] = process.argv.slice(2);

/** Put before the worker's own script: for each result that was asked for, the milliseconds since the last was there and the calls since. */
const COUNTER = `
  let there = 0;
  let steps = [];
  const calls = { dispatchWorkgroups: 0, createBindGroup: 0, submit: 0 };
  const before = { ...calls };
  const counted = (type, name) => {
    const call = type.prototype[name];
    type.prototype[name] = function (...given) {
      calls[name] += 1;
      return call.apply(this, given);
    };
  };
  counted(GPUComputePassEncoder, "dispatchWorkgroups");
  counted(GPUDevice, "createBindGroup");
  counted(GPUQueue, "submit");
  const mapAsync = GPUBuffer.prototype.mapAsync;
  GPUBuffer.prototype.mapAsync = function (...given) {
    const step = { host: performance.now() - there };
    for (const name in calls) {
      step[name] = calls[name] - before[name];
      before[name] = calls[name];
    }
    steps.push(step);
    const mapped = mapAsync.apply(this, given);
    mapped.then(() => (there = performance.now()));
    return mapped;
  };
  new BroadcastChannel("launches").onmessage = ({ target }) => {
    target.postMessage(steps);
    steps = [];
  };
`;

const ARGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const { page, close } = await browser(chromium, url, "", ARGS);
try {
  await page.context().route("**/package/dist/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: COUNTER + (await response.text()) });
  });
  console.log(JSON.stringify(await page.evaluate(measure, { tokens: +tokens })));
} finally {
  await close();
}

/** Runs in the page. */
async function measure({ tokens }) {
  const channel = new BroadcastChannel("launches");
  const steps = () =>
    new Promise((resolve) => {
      channel.onmessage = ({ data }) => resolve(data);
      channel.postMessage("?");
    });
  const { NameLens } = await import("/package/dist/index.js");
  const name = "SmolLM2-135M-Instruct.Q4_1.gguf";
  const files = new Map([[name, await (await fetch(`/model/${name}`)).blob()]]);
  const lens = await NameLens.create({ model: files, device: "webgpu", storage: "memory" });
  const write = async (question, maxTokens) => (await lens.ask(null, question, { maxTokens, sampling: { temperature: 0 } })).tokens.generated;
  // Pipelines are built, and what is called often is compiled.
  await write("Tell me a story.", 8);
  await steps();
  const written = await write("Tell me another story, of a dog.", tokens);
  const found = await steps();
  await lens.dispose();
  // The last tokens go the way of all but the first.
  const settled = found.slice(-Math.floor(written / 2));
  const median = (key) => settled.map((step) => step[key]).sort((a, b) => a - b)[settled.length >> 1];
  return {
    written,
    host: median("host"),
    dispatches: median("dispatchWorkgroups"),
    bindGroups: median("createBindGroup"),
    submits: median("submit"),
    // The dearest of the first tokens, of which one is recorded.
    recording: Math.max(...found.slice(1, 6).map(({ host }) => host)),
  };
}
