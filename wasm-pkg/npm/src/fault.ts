// Why the engine stopped: a trap of WebAssembly says only "unreachable", so what the engine noted before it is asked for.

import { asError, NameLensError, type ErrorCode } from "./errors.js";

/** What the engine notes of its own end. */
export interface Witness {
  /** What the last panic said, with its place. */
  panicMessage(): string | undefined;
  /** Bytes of the last allocation that was refused; 0 when none was. */
  refusedBytes(): number;
  /** Bytes that the module holds. */
  heldBytes(): number;
}

/** Says nothing: there is no engine yet. */
export const SILENT: Witness = { panicMessage: () => undefined, refusedBytes: () => 0, heldBytes: () => 0 };

/** After an error with one of these codes the engine cannot be used any more. */
export const FATAL: readonly ErrorCode[] = ["memory", "crashed", "device"];

const OUT_OF_MEMORY = /out of memory|outofmemory|allocation failed|memory allocation|capacity overflow/i;
const TOO_DEEP = /call stack|too much recursion/i;

/** Whether `thrown` tore the engine out of its work, so that its memory is in no state to go on with. */
export function isTrap(thrown: unknown): boolean {
  if (typeof thrown !== "object" || thrown === null) return false;
  const { name, message } = thrown as { name?: unknown; message?: unknown };
  const tooDeep = TOO_DEEP.test(String(message)) && (name === "RangeError" || name === "InternalError");
  return name === "RuntimeError" || tooDeep;
}

/** Whether a trap happened in WebAssembly, by its kind or by its stack as every browser writes it. */
export function ranWebAssembly(trap: unknown): boolean {
  const { name, stack } = trap as { name?: unknown; stack?: unknown };
  return name === "RuntimeError" || /wasm-function|\[wasm code\]/.test(String(stack));
}

/** A thrown thing as an error; of a trap it says whether memory ran out or the engine is at fault. */
export function explain(thrown: unknown, witness: Witness): NameLensError {
  if (!isTrap(thrown)) return asError(thrown);
  const { message } = thrown as Error;
  // The dead module may be unable to say even this.
  const ask = <T>(question: () => T, otherwise: T): T => {
    try {
      return question();
    } catch {
      return otherwise;
    }
  };
  const panic = ask(() => witness.panicMessage(), undefined);
  const refused = ask(() => witness.refusedBytes(), 0);
  const held = ask(() => witness.heldBytes(), 0);
  if (panic === undefined ? refused > 0 : OUT_OF_MEMORY.test(panic)) {
    const wanted = refused > 0 ? `: it held ${megabytes(held)} and was refused ${megabytes(refused)} more` : `: ${panic ?? message}`;
    return new NameLensError("memory", `the engine ran out of memory${wanted}`, { cause: thrown });
  }
  return new NameLensError("crashed", `the engine stopped at a fault: ${panic ?? message}`, { cause: thrown });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
