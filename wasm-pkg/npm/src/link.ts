// The connection to the engine: discards one that died and starts a fresh one, with all that was in it, for the next call.

import { Caller, type CallOptions } from "./channel.js";
import { asError, cancelled, NameLensError } from "./errors.js";
import { FATAL } from "./fault.js";
import type { CallName, Calls, Opened } from "./protocol.js";
import type { Started } from "./start.js";
import type { LoadProgress, StoredConcept } from "./types.js";
import { unlessStopped } from "./waiting.js";

/** Milliseconds that a cancelled loading has for keeping what has arrived. */
const GRACE_MS = 1000;

/** What a page's objects need of the connection. */
export interface Calling {
  call<N extends CallName>(name: N, input: Calls[N]["in"], options?: CallOptions<Calls[N]["event"]>): Promise<Calls[N]["out"]>;
}

/** What the link is told. */
export interface LinkOptions {
  readonly start: () => Started | Promise<Started>;
  /** Whether a second one may be started when the first has died. */
  readonly restarts: boolean;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Another tab changed the concepts. */
  readonly onChanged: () => void;
}

/** What an engine is opened with; it follows what was done to the engine, so that a fresh one is opened as the last one was. */
type Opening = Omit<Calls["open"]["in"], "concepts">;

interface Engine {
  readonly caller: Caller;
  readonly close: () => void;
  readonly info: Opened;
}

/** One engine at a time. */
export class Link implements Calling {
  readonly #options: LinkOptions;
  #opening: Opening;
  /** Rejected once it is closed, or where no other one may be started. */
  #engine: Promise<Engine> | null = null;
  #ended: NameLensError | null = null;
  #close: (() => void) | null = null;
  #info: Opened | null = null;
  /** Concepts that nobody else keeps, by their ids. */
  readonly #kept = new Map<string, StoredConcept>();

  constructor(opening: Opening, options: LinkOptions) {
    this.#opening = opening;
    this.#options = options;
  }

  /** What was opened last. */
  get info(): Opened {
    if (!this.#info) throw new NameLensError("internal", "the engine was never opened");
    return this.#info;
  }

  /** Changes what a fresh engine is opened with. */
  remember(change: (opening: Opening) => Opening): void {
    this.#opening = change(this.#opening);
  }

  /** Opens the engine. Rejects with a {@link NameLensError}; nothing is left running then. */
  async open(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw cancelled(signal);
    this.#engine = this.#start(signal);
    try {
      await this.#engine;
    } catch (thrown) {
      this.#engine = null;
      throw asError(thrown);
    }
  }

  async call<N extends CallName>(
    name: N,
    input: Calls[N]["in"],
    options: CallOptions<Calls[N]["event"]> = {},
  ): Promise<Calls[N]["out"]> {
    if (this.#ended) throw this.#ended;
    const { caller } = await this.#live(options.signal);
    return caller.call(name, input, options).catch((thrown: unknown) => {
      const error = asError(thrown);
      if (FATAL.includes(error.code)) this.#discard(caller, error);
      throw error;
    });
  }

  /** Stops everything; later calls are rejected with `error`. */
  end(error: NameLensError): void {
    this.#ended ??= error;
    this.#close?.();
    this.#close = null;
  }

  /** The engine; a fresh one where the last has died. Whoever asks may stop waiting, the engine is opened all the same. */
  #live(signal?: AbortSignal): Promise<Engine> {
    if (!this.#engine) {
      const engine = this.#start();
      this.#engine = engine;
      engine.catch(() => {
        if (this.#engine === engine) this.#engine = null;
      });
    }
    return unlessStopped(this.#engine, signal);
  }

  async #start(signal?: AbortSignal): Promise<Engine> {
    const { port, close: end, onFailure } = await this.#options.start();
    let runs = true;
    const close = (): void => {
      if (runs) end();
      runs = false;
    };
    if (this.#ended) {
      close();
      throw this.#ended;
    }
    const caller = new Caller(port, {
      changed: this.#options.onChanged,
      kept: ({ put, removed }) => {
        for (const id of removed) this.#kept.delete(id);
        for (const concept of put) this.#kept.set(concept.id, concept);
      },
      fatal: (error) => this.#discard(caller, error),
    });
    onFailure((error) => this.#discard(caller, error));
    // Also what is opened only now is never answered once its host is gone.
    this.#close = () => {
      if (this.#ended) caller.break(this.#ended);
      close();
    };
    // Asked nicely, the worker keeps what has arrived; deep in the weights it cannot hear and is ended all the same.
    const giveUp = (): void => void setTimeout(() => caller.break(cancelled(signal)), GRACE_MS);
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      const input = { ...this.#opening, concepts: [...this.#kept.values()] };
      const info = await caller.call("open", input, { signal, onEvent: this.#options.onProgress });
      if (this.#ended) throw this.#ended;
      this.#info = info;
      return { caller, close, info };
    } catch (thrown) {
      close();
      throw asError(thrown);
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  /** Ends an engine that died. What was under way is rejected with why. */
  #discard(caller: Caller, error: NameLensError): void {
    const engine = this.#engine;
    caller.break(error);
    void engine?.then(
      (live) => {
        if (live.caller !== caller || this.#engine !== engine) return;
        live.close();
        this.#engine = null;
        if (this.#options.restarts) return;
        const message = `${error.message}; without a worker the engine cannot start anew, so reload the page`;
        this.#ended ??= new NameLensError(error.code, message, { cause: error });
      },
      () => undefined,
    );
  }
}
