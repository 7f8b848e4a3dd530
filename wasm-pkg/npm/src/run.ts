// A run under way: await it for the result, or loop over it for the stream; both see the same run.

import { asError, type NameLensError } from "./errors.js";
import type { RunEvent } from "./types.js";

/**
 * What `caption`, `ask`, `recognize` and `locate` give back.
 *
 * ```ts
 * const run = lens.caption(photo);
 * for await (const event of run) if (event.type === "text") show(event.text, event.mentions);
 * const result = await run;
 * ```
 *
 * Every loop sees all events from the first one on. A loop that is left early does not stop the run; `cancel` does.
 */
export class Run<T> implements Promise<T>, AsyncIterable<RunEvent> {
  readonly [Symbol.toStringTag] = "Run";
  readonly #result: Promise<T>;
  readonly #abort = new AbortController();
  readonly #events: RunEvent[] = [];
  #ended: { error: NameLensError | null } | null = null;
  #wake: (() => void)[] = [];

  /** Starts `body` at once; `signal` is the caller's. */
  constructor(
    body: (emit: (event: RunEvent) => void, signal: AbortSignal) => Promise<T>,
    signal?: AbortSignal | undefined,
  ) {
    const forward = (): void => this.#abort.abort(signal?.reason);
    if (signal?.aborted) forward();
    signal?.addEventListener("abort", forward, { once: true });
    this.#result = body((event) => this.#push(event), this.#abort.signal)
      .catch((thrown: unknown) => {
        throw asError(thrown);
      })
      .finally(() => signal?.removeEventListener("abort", forward));
    // Whoever only loops learns of the error in the loop; it must not count as unhandled as well.
    this.#result.then(
      () => this.#end(null),
      (error: NameLensError) => this.#end(error),
    );
  }

  /** Stops the run; it rejects with code `cancelled`. */
  cancel(): void {
    this.#abort.abort();
  }

  then<A = T, B = never>(
    fulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    rejected?: ((reason: NameLensError) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#result.then(fulfilled, rejected);
  }

  catch<B = never>(rejected?: ((reason: NameLensError) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.#result.catch(rejected);
  }

  finally(settled?: (() => void) | null): Promise<T> {
    return this.#result.finally(settled);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    for (let next = 0; ; ) {
      const event = this.#events[next];
      if (event) {
        next += 1;
        yield event;
      } else if (this.#ended) {
        if (this.#ended.error) throw this.#ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => this.#wake.push(resolve));
      }
    }
  }

  #push(event: RunEvent): void {
    this.#events.push(event);
    this.#wakeAll();
  }

  #end(error: NameLensError | null): void {
    this.#ended = { error };
    this.#wakeAll();
  }

  #wakeAll(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const resolve of waiting) resolve();
  }
}
