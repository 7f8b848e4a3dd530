// An engine that dies: memory told from faults, the dead one discarded, a fresh one started with all that was in the last.

import assert from "node:assert/strict";
import { test } from "node:test";
import { serve } from "../dist/channel.js";
import { NameLensError } from "../dist/errors.js";
import { explain, isTrap, ranWebAssembly } from "../dist/fault.js";
import { Link } from "../dist/link.js";
import { MemoryStore } from "../dist/store.js";

const witness = ({ panic, refused = 0, held = 0 } = {}) => ({ panicMessage: () => panic, refusedBytes: () => refused, heldBytes: () => held });

/** A trap as the browser throws it: a module of one function that is `unreachable`. */
const TRAP = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11);
const { f: fall } = new WebAssembly.Instance(new WebAssembly.Module(TRAP)).exports;
const thrown = (body) => {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
};
const trap = () => thrown(fall);
const tooDeep = () => {
  const down = () => 1 + down();
  return thrown(down);
};

test("a trap is memory when an allocation was refused, else a fault; a panic speaks for itself", () => {
  const say = (error, notes) => {
    const { code, message } = explain(error, witness(notes));
    return [code, message];
  };
  assert.deepEqual(say(trap(), { refused: 36e6, held: 4294967296 }), ["memory", "the engine ran out of memory: it held 4295 MB and was refused 36 MB more"]);
  assert.deepEqual(say(trap(), {}), ["crashed", "the engine stopped at a fault: unreachable"]);
  const panic = "panicked at engine/src/x.rs:3:1: index out of bounds";
  assert.deepEqual(say(trap(), { panic }), ["crashed", `the engine stopped at a fault: ${panic}`]);
  // An allocation that was refused and coped with before is not to blame.
  assert.equal(say(trap(), { panic, refused: 5 })[0], "crashed");
  assert.equal(say(trap(), { panic: "wgpu error: Out of Memory" })[0], "memory");
  assert.equal(say(tooDeep(), {})[0], "crashed");
  assert.equal(say(thrown(() => new ArrayBuffer(2 ** 53 - 1)), {})[0], "memory");
  assert.deepEqual(say(Object.assign(new Error("byte 7"), { code: "image" }), { refused: 5 }), ["image", "byte 7"]);
  const dead = () => fall();
  assert.equal(explain(trap(), { panicMessage: dead, refusedBytes: dead, heldBytes: dead }).code, "crashed");
  assert.ok(isTrap(trap()) && isTrap(tooDeep()) && !isTrap(new TypeError("x")) && !isTrap("unreachable") && !isTrap(null));
});

test("a stack that a page's own code has used up is none of the engine's", () => {
  assert.ok(ranWebAssembly(trap()));
  assert.ok(!ranWebAssembly(tooDeep()));
  const inEngine = Object.assign(new RangeError("Maximum call stack size exceeded"), { stack: "RangeError\n  at wasm://wasm/002f:wasm-function[7]:0x2a" });
  assert.ok(ranWebAssembly(inEngine));
});

test("a crash is no bug report without what to do", () => {
  for (const code of ["memory", "crashed", "device"]) assert.match(new NameLensError(code, "x").hint, /starts? anew with the next call/);
});

/** A link to hosts in this realm, each of which lives until `handlers` throw something fatal. */
function connect(handlers, { restarts = true, storage = "memory" } = {}) {
  const log = { opened: [], closed: 0, ports: [] };
  const link = new Link(
    { model: { folder: "x" }, choice: {}, device: "cpu", threads: 1, storage, removed: [], adapters: [], adapter: null, precision: "stored" },
    {
      restarts,
      onChanged: () => undefined,
      start: () => {
        const { port1, port2 } = new MessageChannel();
        let store;
        const kept = (change) => port2.postMessage({ type: "kept", ...change });
        serve(port2, {
          open: async (input) => {
            log.opened.push(input);
            store = new MemoryStore(input.concepts, kept);
            return { adapters: [], adapter: input.adapter, number: log.opened.length };
          },
          addConcept: async (concept) => (await store.put([concept]), concept),
          removeConcept: async ({ id }) => store.remove(id),
          listConcepts: async () => (await store.all()).concepts,
          ...handlers,
        });
        port1.start();
        port2.start();
        log.ports.push(port2);
        return {
          port: port1,
          onFailure: () => undefined,
          close: () => {
            log.closed += 1;
            port1.close();
          },
        };
      },
    },
  );
  return { link, log };
}

const fail = (code) => async () => {
  throw Object.assign(new Error("told"), { code });
};

for (const code of ["memory", "crashed", "device"]) {
  test(`after "${code}" the next call finds a fresh engine with the concepts, adapters and choices of the last`, async () => {
    const { link, log } = connect({ run: fail(code) });
    await link.open();
    await link.call("addConcept", { id: "a", name: "Ada" });
    await link.call("addConcept", { id: "b", name: "Bob" });
    await link.call("removeConcept", { id: "b" });
    link.remember((opening) => ({ ...opening, adapter: "style" }));
    await assert.rejects(link.call("run", {}), { code, message: "told" });
    assert.equal(log.closed, 1);
    assert.deepEqual(await link.call("listConcepts"), [{ id: "a", name: "Ada" }]);
    assert.equal(log.opened.length, 2);
    assert.equal(log.opened[1].adapter, "style");
    assert.equal(link.info.number, 2);
    // And once more: what the second one was given is what the third one gets.
    await link.call("addConcept", { id: "c", name: "Cleo" });
    await assert.rejects(link.call("run", {}), { code });
    assert.deepEqual((await link.call("listConcepts")).map(({ id }) => id), ["a", "c"]);
    link.end(new NameLensError("disposed", "gone"));
    assert.equal(log.closed, 3);
    await assert.rejects(link.call("listConcepts"), { code: "disposed" });
    assert.equal(log.opened.length, 3);
  });
}

test("an engine that dies between two words rejects all that waits for it, and is discarded as well", async () => {
  const { link, log } = connect({ run: () => new Promise(() => undefined), memory: () => new Promise(() => undefined) });
  await link.open();
  const waiting = [link.call("run", {}), link.call("memory")];
  await new Promise((resolve) => setTimeout(resolve, 10));
  log.ports[0].postMessage({ type: "fatal", error: { code: "crashed", message: "unreachable" } });
  for (const call of waiting) await assert.rejects(call, { code: "crashed", message: "unreachable" });
  assert.deepEqual(await link.call("listConcepts"), []);
  assert.equal(log.opened.length, 2);
  link.end(new NameLensError("disposed", "gone"));
});

test("calls side by side start one fresh engine; a wait for it can be stopped; a start that fails is tried again", async () => {
  let fails = 0;
  const opened = [];
  const { link, log } = connect({
    run: fail("crashed"),
    memory: async () => 7,
    open: async (input) => {
      opened.push(input);
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (fails-- > 0) throw Object.assign(new Error("no space"), { code: "memory" });
      return {};
    },
  });
  await link.open();
  await assert.rejects(link.call("run", {}), { code: "crashed" });
  fails = 1;
  const abort = new AbortController();
  const stopped = link.call("memory", undefined, { signal: abort.signal });
  abort.abort();
  await assert.rejects(stopped, { code: "cancelled" });
  await assert.rejects(link.call("memory"), { code: "memory", message: "no space" });
  assert.deepEqual(await Promise.all([link.call("memory"), link.call("memory")]), [7, 7]);
  assert.equal(opened.length, 3);
  link.end(new NameLensError("disposed", "gone"));
  assert.equal(log.closed, 3);
});

test("an error that is none of the engine's end leaves it as it is", async () => {
  const { link, log } = connect({ run: fail("image") });
  await link.open();
  await assert.rejects(link.call("run", {}), { code: "image" });
  await link.call("listConcepts");
  assert.deepEqual([log.opened.length, log.closed], [1, 0]);
  link.end(new NameLensError("disposed", "gone"));
});

test("without a worker there is no fresh engine: the error says so, and what to do", async () => {
  const { link, log } = connect({ run: fail("crashed") }, { restarts: false });
  await link.open();
  await assert.rejects(link.call("run", {}), { code: "crashed" });
  await assert.rejects(link.call("listConcepts"), { code: "crashed", message: /reload the page/ });
  assert.equal(log.opened.length, 1);
});

test("an end in the middle of a fresh start rejects what waits for it, and leaves no host behind", async () => {
  const { link, log } = connect({ run: fail("crashed") });
  await link.open();
  await assert.rejects(link.call("run", {}), { code: "crashed" });
  // The second host never answers.
  const waiting = [link.call("listConcepts"), link.call("memory")];
  link.end(new NameLensError("disposed", "gone"));
  for (const call of waiting) await assert.rejects(call, { code: "disposed", message: "gone" });
  assert.equal(log.opened.length + 1, 2, "the start had only begun");
  assert.equal(log.closed, 2);
});

test("an end while a fresh engine opens rejects what waits for it", async () => {
  let opens = 0;
  const { link, log } = connect({ run: fail("crashed"), open: () => ((opens += 1) === 1 ? Promise.resolve({}) : new Promise(() => undefined)) });
  await link.open();
  await assert.rejects(link.call("run", {}), { code: "crashed" });
  const waiting = link.call("listConcepts");
  while (opens < 2) await new Promise((resolve) => setTimeout(resolve));
  link.end(new NameLensError("disposed", "gone"));
  await assert.rejects(waiting, { code: "disposed", message: "gone" });
  assert.equal(log.closed, 2);
});
