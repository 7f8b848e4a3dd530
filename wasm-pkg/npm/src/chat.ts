// A conversation about one photo, or about none: every turn sees what was asked and answered before it.

/// <reference lib="esnext.disposable" preserve="true" />

import { NameLensError } from "./errors.js";
import { said } from "./options.js";
import { photoBytes } from "./photo.js";
import { Run } from "./run.js";
import type { Exchange, PhotoSource, Request, RunOptions, RunResult } from "./types.js";
import { unlessStopped } from "./waiting.js";

/** A finished turn. */
export interface Turn {
  readonly question: string;
  readonly result: RunResult;
}

/** Starts a run about a photo, or about none. */
export type Ask = (photo: PhotoSource | null, what: Request, options: RunOptions) => Run<RunResult>;

/** How a caption is asked for where it is a turn among others; what the engine asks when nothing else is said. */
const CAPTION = "Give a personalized caption of this image.";

/**
 * A conversation. What a turn has in common with the one before is not read again: the photo is looked at once, and
 * `result.tokens.reused` says how much of the prompt was there already.
 *
 * ```ts
 * const chat = lens.chat(photo);
 * await chat.caption();
 * const { text } = await chat.ask("What is Miso holding?");
 * ```
 *
 * A turn that fails or is stopped is not part of the conversation. One turn at a time: the next one waits.
 */
export class Chat {
  readonly #photo: PhotoSource | null;
  readonly #ask: Ask;
  readonly #options: RunOptions;
  #bytes: Promise<Blob> | null = null;
  #turns: Turn[] = [];
  #last: Promise<unknown> = Promise.resolve();
  #epoch = 0;
  readonly #disposed = new AbortController();

  /** @internal */
  constructor(photo: PhotoSource | null, options: RunOptions, ask: Ask) {
    this.#photo = photo;
    this.#options = options;
    this.#ask = ask;
  }

  /** The turns so far, oldest first. */
  get turns(): readonly Turn[] {
    return this.#turns;
  }

  /** Asks about the photo, or a question alone. `options` come before those of the conversation. */
  ask(question: string, options: RunOptions = {}): Run<RunResult> {
    return this.#turn({ kind: "ask", question }, question, options);
  }

  /** Asks for a caption. */
  caption(options: RunOptions = {}): Run<RunResult> {
    return this.#turn({ kind: "caption" }, CAPTION, options);
  }

  /** Forgets all turns; a turn under way will not be one of the conversation. */
  reset(): void {
    this.#turns = [];
    this.#epoch += 1;
  }

  /** Ends the conversation and lets go of the photo. */
  dispose(): void {
    this.reset();
    this.#disposed.abort();
    this.#bytes = null;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #turn(what: Request, question: string, options: RunOptions): Run<RunResult> {
    const { signal, onEvent, onToken, ...how } = { ...this.#options, ...said(options) };
    const before = this.#last;
    const run = new Run<RunResult>(async (emit, stop) => {
      await unlessStopped(before, stop);
      if (this.#disposed.signal.aborted) throw disposed();
      const epoch = this.#epoch;
      const earlier: Exchange[] = this.#turns.map(({ question, result }) => ({ question, answer: result.raw }));
      const photo = await unlessStopped(this.#bytesOf(), stop);
      const inner = this.#ask(photo, { ...what, earlier }, {
        ...how,
        signal: stop,
        onEvent: (event) => {
          emit(event);
          onEvent?.(event);
        },
        ...(onToken ? { onToken } : {}),
      });
      const result = await inner;
      if (epoch === this.#epoch) this.#turns = [...this.#turns, { question, result }];
      return result;
    }, signal);
    // The next turn waits for this one, however it ends, and for those that this one no longer waited for.
    this.#last = Promise.allSettled([before, run]);
    return run;
  }

  /** The photo's bytes, read once: an address may change, and the engine knows a photo by them. */
  #bytesOf(): Promise<Blob | null> {
    if (this.#photo === null) return Promise.resolve(null);
    const { signal } = this.#disposed;
    const reading = (this.#bytes ??= photoBytes(this.#photo, signal).then(
      (bytes) => new Blob([bytes]),
      (thrown: unknown) => {
        throw signal.aborted ? disposed() : thrown;
      },
    ));
    // A photo that could not be read may be readable at the next turn.
    reading.catch(() => {
      if (this.#bytes === reading) this.#bytes = null;
    });
    return reading;
  }
}

function disposed(): NameLensError {
  return new NameLensError("disposed", "this conversation was disposed of");
}
