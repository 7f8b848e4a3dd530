// Pieces of work between real threads: each is done once, sleepers wake, a piece that throws is told, one at a time has the lock.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { countersAt, threadsOver } from "../dist/threads.js";

const WORDS = 96;
/** Where the counters are, and after them how often each piece was done. */
const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const counters = countersAt(memory, 0);
const done = new Int32Array(memory.buffer, 4 * WORDS, 256);
const threads = threadsOver(counters);

const helper = `
  import { workerData } from "node:worker_threads";
  const { countersAt, help, threadsOver } = await import(workerData.script);
  const counters = countersAt(workerData.memory, 0);
  const done = new Int32Array(workerData.memory.buffer, ${4 * WORDS}, 256);
  const threads = threadsOver(counters);
  console.error = () => {};
  help(counters, (left) => {
    if (left === 200) throw new Error("on purpose");
    threads.lock();
    // Not atomic: two at a time would lose one.
    done[0] += 1;
    threads.unlock();
    Atomics.add(done, left, 1);
  });`;
const helpers = [1, 2].map(
  () => new Worker(new URL(`data:text/javascript,${encodeURIComponent(helper)}`), { workerData: { memory, script: new URL("../dist/threads.js", import.meta.url).href } }),
);
after(() => Promise.all(helpers.map((helper) => helper.terminate())));

/** Does a job of so many pieces as the engine does, and says whether it went well. */
function job(pieces) {
  done.fill(0);
  threads.publish(pieces);
  let own = 0;
  for (let left = threads.take(); left > 0; left = threads.take()) {
    threads.lock();
    done[0] += 1;
    threads.unlock();
    Atomics.add(done, left, 1);
    own += 1;
  }
  return { well: threads.join(pieces - own), own };
}

test("every piece is done once, whoever does it, awake or asleep", async () => {
  let helped = 0;
  for (let round = 0; round < 4000; round += 1) {
    const pieces = 2 + (round % 60);
    const { well, own } = job(pieces);
    assert.ok(well);
    assert.equal(done[0], pieces);
    assert.deepEqual([...done.subarray(1, pieces + 2)], [...Array(pieces).fill(1), 0]);
    helped += pieces - own;
    // Now and then so long that helpers fall asleep.
    if (round % 400 === 0) await pause(50);
  }
  assert.ok(helped > 1000, `helpers did ${helped} pieces`);
});

test("a piece that throws is told, and stays told", () => {
  let well = true;
  // Until a helper, and not this thread, takes the piece that throws.
  for (let round = 0; round < 1000 && well; round += 1) ({ well } = job(201));
  assert.equal(well, false);
  assert.equal(job(3).well, false);
});

test("an allocator that a thread took to its end is told, and not waited for without end", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const own = threadsOver(countersAt(memory, 0), 200);
  own.lock();
  assert.throws(() => own.lock(), { name: "RuntimeError", message: /ended while it held the allocator/ });
  own.unlock();
  own.lock();
});
