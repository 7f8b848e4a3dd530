// Waiting that a signal ends; what is waited for goes on.

import { cancelled } from "./errors.js";

/** What `promise` gives. Rejects with `cancelled` as soon as `signal` aborts. */
export function unlessStopped<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(cancelled(signal));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}
