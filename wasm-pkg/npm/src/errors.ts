// The one error type: a stable code to act on, a message to log, a hint to show.

/** What went wrong, in a word that stays the same between versions. */
export type ErrorCode =
  | "config"
  | "missing"
  | "file"
  | "weights"
  | "image"
  | "tokenizer"
  | "template"
  | "bundle"
  | "concept"
  | "option"
  | "context-full"
  | "cancelled"
  | "no-adapter"
  | "device"
  | "memory"
  | "crashed"
  | "network"
  | "http"
  | "integrity"
  | "storage"
  | "quota"
  | "unsupported"
  | "worker"
  | "disposed"
  | "internal";

const HINTS: Record<ErrorCode, string> = {
  config: "Check that the files are a complete model of a family that NameLens knows.",
  missing: "Take the whole folder of the model, with every file that its authors put there.",
  file: "Choose the folder of the model again.",
  weights: "The model's weights cannot be used; fetch or export its files again, or take another one.",
  image: "Use a JPEG, PNG or WebP photo.",
  tokenizer: "The model's tokenizer cannot be used; fetch or export its files again.",
  template: "The model's chat template cannot be used; fetch or export its files again.",
  bundle: "Choose a file that NameLens exported, or a RAP/RePIC database.json together with its photos.",
  concept: "Choose another name, or check that the thing still exists.",
  option: "Correct the option that the message names.",
  "context-full": "Ask about fewer things at once, shorten the question, or lower maxTokens.",
  cancelled: "Nothing to do: it was stopped on request.",
  "no-adapter": "This browser offers no usable GPU; choose the CPU instead.",
  device: "The GPU was lost or failed. The engine starts anew with the next call; if it fails again, choose the CPU.",
  memory: "The engine starts anew with the next call, and your things are still there. Close other tabs, use a smaller photo or a smaller model.",
  crashed: "The engine starts anew with the next call, and your things are still there. Please report the message: this is a fault of NameLens.",
  network: "Check the connection and try again; once loaded, no connection is needed.",
  http: "Check the address of the model, and that its server lets this page read it.",
  integrity: "The downloaded file is not the published one; reload, or publish the bundle again.",
  storage: "The browser refused to keep the data: free some space or leave private browsing.",
  quota: "Free some disk space, or take a smaller model; what has arrived is kept and need not be fetched again.",
  unsupported: "Use a current version of Chrome, Edge, Safari or Firefox.",
  worker: "Create NameLens again; if the worker fails each time, pass { worker: false } and report the message.",
  disposed: "Create a new NameLens; this one was disposed of.",
  internal: "This is a bug in NameLens; please report it with the message.",
};

/** An error as plain data, as it crosses from the worker. */
export interface ErrorInfo {
  readonly code: ErrorCode;
  readonly message: string;
  /** What to do next, where it is more than what the code says. */
  readonly hint?: string;
}

/** Everything this package throws or rejects with. */
export class NameLensError extends Error {
  override readonly name = "NameLensError";
  /** Stable; switch on this. */
  readonly code: ErrorCode;
  /** What to do next, in a sentence fit to be shown. */
  readonly hint: string;

  /** `hint` takes the place of the one that goes with the code. */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { readonly hint?: string | undefined }) {
    super(message, options);
    this.code = code;
    this.hint = options?.hint ?? HINTS[code];
  }
}

const isCode = (value: unknown): value is ErrorCode =>
  typeof value === "string" && Object.hasOwn(HINTS, value);

/** Any thrown thing as a {@link NameLensError}; `fallback` is the code of what carries none. */
export function asError(thrown: unknown, fallback: ErrorCode = "internal"): NameLensError {
  if (thrown instanceof NameLensError) return thrown;
  if (typeof thrown === "object" && thrown !== null) {
    const { code, message, name } = thrown as { code?: unknown; message?: unknown; name?: unknown };
    const text = typeof message === "string" && message !== "" ? message : String(name ?? thrown);
    if (isCode(code)) return new NameLensError(code, text, { cause: thrown });
    if (name === "AbortError") return new NameLensError("cancelled", text, { cause: thrown });
    // A chosen file that was changed or moved since.
    if (name === "NotReadableError") return new NameLensError("file", text, { cause: thrown });
    // An allocation that fails in JavaScript; one that fails in WebAssembly is a trap, see fault.ts.
    if (name === "RangeError" && !/call stack/i.test(text)) return new NameLensError("memory", text, { cause: thrown });
    return new NameLensError(fallback, text, { cause: thrown });
  }
  return new NameLensError(fallback, String(thrown), { cause: thrown });
}

/** The error of a run that was stopped through `signal`. */
export function cancelled(signal?: AbortSignal): NameLensError {
  return new NameLensError("cancelled", "stopped on request", { cause: signal?.reason });
}

/** An error as plain data. */
export function asInfo(thrown: unknown): ErrorInfo {
  const { code, message, hint } = asError(thrown);
  return hint === HINTS[code] ? { code, message } : { code, message, hint };
}

/** The error that plain data tells of. */
export function fromInfo({ code, message, hint }: ErrorInfo): NameLensError {
  return new NameLensError(code, message, { hint });
}
