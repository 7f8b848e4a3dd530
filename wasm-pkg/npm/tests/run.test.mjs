// A run is a promise and a stream at once; the queue and the channel keep order and let cancels through.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Caller, serve } from "../dist/channel.js";
import { NameLensError } from "../dist/errors.js";
import { Queue } from "../dist/queue.js";
import { Run } from "../dist/run.js";

const text = (delta, all) => ({ type: "text", delta, text: all, mentions: [] });

async function collect(run) {
  const seen = [];
  for await (const event of run) seen.push(event);
  return seen;
}

test("every loop sees all events, and awaiting gives the result", async () => {
  const run = new Run(async (emit) => {
    emit(text("a", "a"));
    await Promise.resolve();
    emit(text("b", "ab"));
    return "done";
  });
  const [one, two] = await Promise.all([collect(run), collect(run)]);
  assert.deepEqual(one.map(({ delta }) => delta), ["a", "b"]);
  assert.deepEqual(two, one);
  assert.equal(await run, "done");
  assert.deepEqual(await collect(run), one, "a loop that begins after the end sees them too");
});

test("a failure reaches loop and promise as a typed error", async () => {
  const run = new Run(async () => {
    throw Object.assign(new Error("byte 7 is wrong"), { code: "image" });
  });
  await assert.rejects(collect(run), (error) => error instanceof NameLensError && error.code === "image");
  await assert.rejects(run, /byte 7/);
});

test("a caller's signal and cancel() both stop the body", async () => {
  const body = (_emit, signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(new DOMException("stop", "AbortError"))));
  const abort = new AbortController();
  const bySignal = new Run(body, abort.signal);
  const byCall = new Run(body);
  abort.abort();
  byCall.cancel();
  for (const run of [bySignal, byCall]) await assert.rejects(run, { code: "cancelled" });
});

test("the queue runs one task at a time, in order, and survives failures", async () => {
  const queue = new Queue();
  const { signal } = new AbortController();
  const log = [];
  const task = (name, fails) => async () => {
    log.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    log.push(`${name} ends`);
    if (fails) throw new Error(name);
  };
  const results = await Promise.allSettled([queue.run(signal, task("a", true)), queue.run(signal, task("b"))]);
  assert.deepEqual(results.map(({ status }) => status), ["rejected", "fulfilled"]);
  assert.deepEqual(log, ["a begins", "a ends", "b begins", "b ends"]);
});

test("a task cancelled while it waits fails at once and never starts", async () => {
  const queue = new Queue();
  const abort = new AbortController();
  let release;
  const first = queue.run(new AbortController().signal, () => new Promise((resolve) => (release = resolve)));
  let started = false;
  const second = queue.run(abort.signal, () => (started = true));
  abort.abort();
  await assert.rejects(second, { code: "cancelled" });
  release();
  await first;
  await queue.run(new AbortController().signal, () => undefined);
  assert.equal(started, false);
});

/** Handlers over a real message port. */
function connect(handlers) {
  const { port1, port2 } = new MessageChannel();
  serve(port2, handlers);
  port1.start();
  port2.start();
  return { caller: new Caller(port1, { changed: () => undefined, kept: () => undefined, fatal: () => undefined }), close: () => port1.close() };
}

test("calls, streams, errors and cancels cross a message port", async () => {
  const { caller, close } = connect({
    memory: async () => 42,
    run: async (_input, { emit, signal }) => {
      emit({ type: "stage", stage: "vision", done: 0, total: 1 });
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw Object.assign(new Error("stopped"), { code: "cancelled" });
    },
    removeConcept: async () => {
      throw Object.assign(new Error("no such concept"), { code: "concept" });
    },
  });
  assert.equal(await caller.call("memory", undefined), 42);
  await assert.rejects(caller.call("removeConcept", { id: "x" }), { code: "concept", message: "no such concept" });
  const abort = new AbortController();
  const events = [];
  const onEvent = (event) => {
    events.push(event.stage);
    abort.abort();
  };
  const input = { request: { kind: "caption" }, photo: new Uint8Array() };
  await assert.rejects(caller.call("run", input, { onEvent, signal: abort.signal }), { code: "cancelled" });
  assert.deepEqual(events, ["vision"]);
  const hanging = caller.call("run", input);
  caller.break(new NameLensError("disposed", "gone"));
  await assert.rejects(hanging, { code: "disposed" });
  await assert.rejects(caller.call("memory", undefined), { code: "disposed" });
  close();
});
