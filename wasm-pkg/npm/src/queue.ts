// One thing at a time: the engine is a single object and must never be entered twice.

import { cancelled } from "./errors.js";

/** Runs tasks in the order they came. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();
  #runs = false;

  /** Whether a task is under way. */
  get isBusy(): boolean {
    return this.#runs;
  }

  /** Runs `task` after everything queued before it; one that is cancelled while it waits fails at once. */
  run<T>(signal: AbortSignal, task: () => Promise<T> | T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const giveUp = (): void => reject(cancelled(signal));
      if (signal.aborted) return giveUp();
      signal.addEventListener("abort", giveUp, { once: true });
      this.#last = this.#last.then(async () => {
        signal.removeEventListener("abort", giveUp);
        if (signal.aborted) return;
        this.#runs = true;
        try {
          resolve(await task());
        } catch (thrown) {
          reject(thrown as Error);
        } finally {
          this.#runs = false;
        }
      });
    });
  }
}
