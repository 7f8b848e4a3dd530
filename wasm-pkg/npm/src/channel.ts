// The generic proxy over a message port: calls with streams and cancellation, on both of its sides.

import { asInfo, cancelled, fromInfo, NameLensError, type ErrorInfo } from "./errors.js";
import type { CallName, Calls, FromHost, Handlers, Kept, ToHost } from "./protocol.js";

/** What a `Worker`, a `MessagePort` and a worker's own scope have in common. */
export interface Port {
  postMessage(message: unknown, transfer?: Transferable[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
}

/** Options of one call. */
export interface CallOptions<Event> {
  readonly onEvent?: ((event: Event) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly transfer?: Transferable[];
}

interface Pending {
  resolve(value: never): void;
  reject(error: NameLensError): void;
  onEvent: ((event: never) => void) | undefined;
}

/** What the host says of its own accord. */
export interface Listener {
  /** Another tab changed the concepts. */
  changed(): void;
  /** Concepts that the host keeps in its memory only. */
  kept(change: Kept): void;
  /** The engine died outside of any answer: nothing under way will be answered. */
  fatal(error: NameLensError): void;
}

/** The page's side. */
export class Caller {
  readonly #port: Port;
  readonly #pending = new Map<number, Pending>();
  #next = 1;
  #broken: NameLensError | null = null;

  constructor(port: Port, listener: Listener) {
    this.#port = port;
    port.addEventListener("message", ({ data }: MessageEvent<FromHost>) => {
      if (data.type === "changed") listener.changed();
      else if (data.type === "kept") listener.kept(data);
      else if (data.type === "fatal") listener.fatal(fromInfo(data.error));
      else this.#receive(data);
    });
  }

  /** Calls the host; rejects with a {@link NameLensError}. */
  call<N extends CallName>(
    name: N,
    input: Calls[N]["in"],
    { onEvent, signal, transfer = [] }: CallOptions<Calls[N]["event"]> = {},
  ): Promise<Calls[N]["out"]> {
    if (this.#broken) return Promise.reject(this.#broken);
    if (signal?.aborted) return Promise.reject(cancelled(signal));
    const id = this.#next++;
    const cancel = (): void => this.#port.postMessage({ type: "cancel", id } satisfies ToHost);
    const answer = new Promise<Calls[N]["out"]>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, onEvent });
      try {
        this.#port.postMessage({ type: "call", id, name, input }, transfer);
      } catch (cause) {
        this.#pending.delete(id);
        reject(new NameLensError("option", `${name}: an argument cannot be sent to the worker`, { cause }));
      }
    });
    signal?.addEventListener("abort", cancel, { once: true });
    return answer.finally(() => signal?.removeEventListener("abort", cancel));
  }

  /** Cancels and rejects what is under way, and rejects everything later. */
  break(error: NameLensError): void {
    this.#broken ??= error;
    for (const [id, { reject }] of this.#pending) {
      this.#port.postMessage({ type: "cancel", id } satisfies ToHost);
      reject(error);
    }
    this.#pending.clear();
  }

  #receive(message: Extract<FromHost, { id: number }>): void {
    const pending = this.#pending.get(message.id);
    if (!pending) return;
    if (message.type === "event") return pending.onEvent?.(message.event as never);
    this.#pending.delete(message.id);
    if (message.type === "done") pending.resolve(message.value as never);
    else pending.reject(fromInfo(message.error));
  }
}

/** The host's side: answers calls with `handlers`; `info` puts what they throw into words. */
export function serve(port: Port, handlers: Handlers, info: (thrown: unknown) => ErrorInfo = asInfo): void {
  const running = new Map<number, AbortController>();
  const post = (message: FromHost): void => port.postMessage(message);
  port.addEventListener("message", ({ data }: MessageEvent<ToHost>) => {
    if (data.type === "cancel") return running.get(data.id)?.abort();
    const { id, name, input } = data;
    const abort = new AbortController();
    running.set(id, abort);
    // The union of handlers cannot be called with the union of inputs; the protocol pairs them by name.
    const handle = handlers[name] as Handlers[CallName] as (
      input: unknown,
      context: { signal: AbortSignal; emit(event: never): void },
    ) => Promise<Calls[CallName]["out"]>;
    handle(input, { signal: abort.signal, emit: (event) => post({ type: "event", id, event }) })
      .then(
        (value) => post({ type: "done", id, value }),
        (thrown: unknown) => post({ type: "failed", id, error: info(thrown) }),
      )
      .finally(() => running.delete(id));
  });
}
