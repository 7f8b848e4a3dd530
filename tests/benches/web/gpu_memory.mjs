// Bytes of GPU buffers in the course of captions: `node gpu_memory.mjs URL CHROMIUM SETTLED CAPTIONS`; one line of JSON.
//
// Counted where the browser is asked for buffers, so it is what the engine holds, not what a driver makes of it.

import { browser } from "./browser.mjs";

const [url, chromium, settled, captions] = process.argv.slice(2);

/** Put before the worker's own script: counts bytes of buffers that live, and the most there were since it was asked last. */
const COUNTER = `
  let [live, most] = [0, 0];
  const gone = new FinalizationRegistry((held) => held.free());
  const create = GPUDevice.prototype.createBuffer;
  GPUDevice.prototype.createBuffer = function (descriptor) {
    const buffer = create.call(this, descriptor);
    const held = { bytes: descriptor.size, free() { live -= this.bytes; this.bytes = 0; } };
    live += held.bytes;
    most = Math.max(most, live);
    buffer.heldBytes = held;
    gone.register(buffer, held);
    return buffer;
  };
  const destroy = GPUBuffer.prototype.destroy;
  GPUBuffer.prototype.destroy = function () {
    this.heldBytes?.free();
    return destroy.call(this);
  };
  new BroadcastChannel("gpu-memory").onmessage = ({ target }) => {
    // What was let go without a word counts until it is collected, and is told of later still.
    gc();
    setTimeout(() => {
      target.postMessage({ live, most });
      most = live;
    }, 20);
  };
`;

const ARGS = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--js-flags=--expose-gc"];
const { page, close } = await browser(chromium, url, "", ARGS);
try {
  await page.context().route("**/package/dist/worker.js", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: COUNTER + (await response.text()) });
  });
  const line = await page.evaluate(measure, { settled: +settled, captions: +captions });
  console.log(JSON.stringify(line));
} finally {
  await close();
}

/** Runs in the page. */
async function measure({ settled, captions }) {
  const channel = new BroadcastChannel("gpu-memory");
  const held = () =>
    new Promise((resolve) => {
      channel.onmessage = ({ data }) => resolve(data);
      channel.postMessage("?");
    });
  const { NameLens } = await import("/package/dist/index.js");
  const picture = async (name) => (await fetch(`/album/${name}`)).arrayBuffer();
  const scenes = await Promise.all([0, 1, 2, 3, 4, 5].map((at) => picture(`scene-${at}.png`)));
  const lens = await NameLens.create({ model: "playroom", device: "webgpu", storage: "memory" });
  const line = { model: "playroom", captions, loaded: (await held()).live };
  await lens.concepts.add({ name: "Miso", photo: new Blob([await picture("thing-0-0.png")]) });
  await held();
  const start = performance.now();
  for (let at = 0; at < captions; at += 1) {
    // A byte more at its end makes it a new photo.
    const photo = new Blob([scenes[at % scenes.length], Uint8Array.of(at & 255, at >> 8)]);
    const { text } = await lens.caption(photo);
    if (!text) throw new Error(`caption ${at} is empty`);
    const { live, most } = await held();
    line.most = Math.max(line.most ?? 0, most);
    if (at === 0) line.first = live;
    if (at + 1 === settled) Object.assign(line, { settled: live, settledMost: line.most });
    line.all = live;
  }
  const secondsEach = (performance.now() - start) / 1e3 / captions;
  await lens.dispose();
  return { ...line, secondsEach };
}
