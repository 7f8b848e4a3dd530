// Threads of the engine: how the worker that runs it and its helpers, over one memory, hand out pieces of work and wait for each other.

/** Counters of 32 bits, each on a cache line of its own. */
const LEFT = 0;
const DONE = 16;
const SLEEPERS = 32;
const SIGNAL = 48;
const LOCK = 64;
const FAILED = 80;
/** How many the module keeps for us (`COUNTERS` of wasm-pkg/src/threads.rs). */
const WORDS = 96;

/** Turns of a loop, some 100 microseconds, in which a helper waits awake: between the operations of a token it need not be woken. */
const PATIENCE = 100_000;
/** Milliseconds of waiting after which a piece is given up: a helper was ended from outside. */
const LONGEST = 60_000;
/** Turns of a loop between two looks at the clock. */
const LOOKS = 1 << 20;
/** Milliseconds between two looks at most: what is more, this thread did not run either, as in a page that is frozen. */
const STEP = 1000;

/** What the module calls, under the name `namelensThreads` of the global scope. */
export interface Threads {
  /** Offers pieces of work. */
  publish(pieces: number): void;
  /** Takes one: how many were left with it, 0 where none was. */
  take(): number;
  /** Waits until helpers have done so many; whether all went well. */
  join(pieces: number): boolean;
  /** Waits for the allocator's turn, and takes it. */
  lock(): void;
  /** Gives it back. */
  unlock(): void;
}

/** What a helper needs to begin. */
export interface Errand {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Where the counters are. */
  readonly counters: number;
}

/** The counters of a module whose memory is `memory`. */
export function countersAt(memory: WebAssembly.Memory, address: number): Int32Array {
  return new Int32Array(memory.buffer, address, WORDS);
}

/**
 * The calls over these counters, which wait `longest` milliseconds at most. All that threads share is ordered by them: `Atomics` are
 * sequentially consistent.
 */
export function threadsOver(counters: Int32Array, longest = LONGEST): Threads {
  return {
    publish(pieces) {
      Atomics.store(counters, DONE, 0);
      Atomics.store(counters, LEFT, pieces);
      // Whoever falls asleep after this line looks at what is left once more.
      if (Atomics.load(counters, SLEEPERS) === 0) return;
      Atomics.add(counters, SIGNAL, 1);
      Atomics.notify(counters, SIGNAL);
    },
    take: () => taken(counters),
    join(pieces) {
      const isDone = (): boolean => Atomics.load(counters, DONE) >= pieces;
      return wait(isDone, longest) && Atomics.load(counters, FAILED) === 0;
    },
    lock() {
      const isOurs = (): boolean => Atomics.compareExchange(counters, LOCK, 0, 1) === 0;
      // Whoever has it holds it for less than a microsecond, unless it ended there: then nothing may be allocated any more.
      if (!isOurs() && !wait(isOurs, longest)) throw new WebAssembly.RuntimeError("a thread of the engine ended while it held the allocator");
    },
    unlock() {
      Atomics.store(counters, LOCK, 0);
    },
  };
}

/** Waits awake until something is so; false where it is not after `longest` milliseconds. */
function wait(is: () => boolean, longest: number): boolean {
  let waited = 0;
  let last: number | null = null;
  for (let turns = 1; !is(); turns += 1) {
    if (turns % LOOKS !== 0) continue;
    const now = performance.now();
    waited += Math.min(now - (last ?? now), STEP);
    last = now;
    if (waited > longest) return false;
  }
  return true;
}

/** A helper's life: does pieces as they are offered, sleeps where none come. A piece that throws is told, not hidden. */
export function help(counters: Int32Array, piece: (left: number) => void): never {
  for (;;) {
    waitForWork(counters);
    let done = 0;
    for (let left = taken(counters); left > 0; left = taken(counters)) {
      try {
        piece(left);
      } catch (thrown) {
        console.error(thrown);
        Atomics.store(counters, FAILED, 1);
      }
      done += 1;
    }
    if (done > 0) Atomics.add(counters, DONE, done);
  }
}

function taken(counters: Int32Array): number {
  return Math.max(Atomics.sub(counters, LEFT, 1), 0);
}

/** Waits for pieces: awake at first, then asleep. */
function waitForWork(counters: Int32Array): void {
  for (let turns = 0; Atomics.load(counters, LEFT) <= 0; turns += 1) {
    if (turns < PATIENCE) continue;
    Atomics.add(counters, SLEEPERS, 1);
    const signal = Atomics.load(counters, SIGNAL);
    if (Atomics.load(counters, LEFT) <= 0) Atomics.wait(counters, SIGNAL, signal);
    Atomics.sub(counters, SLEEPERS, 1);
    turns = 0;
  }
}
