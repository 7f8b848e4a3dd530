// How near two cores are: the time a word takes from a thread to another and back, which wait for it awake.
//
// A virtual machine's cores may share a cache at one moment and not at the next. Threads that hand each other a hundred pieces of work a token
// are a fifth slower then, whatever they run.

import { isMainThread, Worker, workerData } from "node:worker_threads";

/** Rounds that are timed together. */
const ROUNDS = 5_000;
/** How often; the first times are of code that is not compiled well yet. */
const TIMES = 9;
/** A cache line apart. */
const [THERE, BACK] = [0, 32];

/** Nanoseconds there and back, the median. */
export async function roundTrip() {
  const words = new Int32Array(new SharedArrayBuffer(4 * 64));
  const other = new Worker(new URL(import.meta.url), { workerData: words });
  await new Promise((online) => other.once("online", online));
  const times = [];
  for (let time = 0; time < TIMES; time += 1) {
    const start = process.hrtime.bigint();
    for (let round = 1; round <= ROUNDS; round += 1) {
      const word = time * ROUNDS + round;
      Atomics.store(words, THERE, word);
      while (Atomics.load(words, BACK) !== word);
    }
    times.push(Number(process.hrtime.bigint() - start) / ROUNDS);
  }
  await other.terminate();
  return times.sort((a, b) => a - b)[TIMES >> 1];
}

if (!isMainThread) {
  const last = TIMES * ROUNDS;
  for (let word = 1; word <= last; word += 1) {
    while (Atomics.load(workerData, THERE) !== word);
    Atomics.store(workerData, BACK, word);
  }
}
