// One file over the network to its end, over as many connections as that takes.

import type { Plan } from "../models/store.js";
import { addressOf, refusal } from "./hub.js";
import type { Part } from "./keep.js";
import { Problem } from "./problems.js";

/** Connections in a row that may bring nothing. */
const TRIES = 5;
/** Milliseconds before the second of them; each further one waits twice as long. */
const PATIENCE_MS = 500;
/** Answers that may be others a moment later; 403 is what the CDN says of a signed address that has expired. */
const PASSING = [403, 408, 425, 429, 500, 502, 503, 504];

/**
 * Fetches what is missing of a file. Rejects with a {@link Problem}; what has arrived stays in the part.
 *
 * The rest is asked for with `Range` alone. `If-Range` would be the header for "only if it is still the same file", but a
 * browser asks the CDN for leave before it sends that (CORS lets `Range` pass unasked), and the CDN gives none. It is not
 * needed: the address names a commit, so what it gives never changes, and the hash has the last word.
 */
export async function fetchFile(plan: Plan, part: Part, onProgress: () => void, signal: AbortSignal): Promise<void> {
  const url = addressOf(plan, part.file.path);
  let furthest = part.size;
  for (let tries = 0; part.size < part.file.bytes; ) {
    try {
      await connect(url, part, onProgress, signal);
    } catch (thrown) {
      if (signal.aborted) throw new Problem("paused");
      if (!(thrown instanceof Passing)) throw thrown;
      // What begins anew brings nothing until it is further than it was.
      tries = part.size > furthest ? 1 : tries + 1;
      furthest = Math.max(furthest, part.size);
      if (tries === TRIES) throw thrown.problem;
      await pause(PATIENCE_MS * 2 ** (tries - 1), signal);
    }
  }
}

/** A fault that may be over at the next try. */
class Passing extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
}

async function connect(url: string, part: Part, onProgress: () => void, signal: AbortSignal): Promise<void> {
  const from = part.size;
  const response = await network(() =>
    // Each try asks the hub anew, which signs a new address.
    fetch(url, { signal, cache: "no-store", credentials: "omit", ...(from > 0 ? { headers: { range: `bytes=${from}-` } } : {}) }),
  );
  if (response.status === 416) {
    part.restart();
    throw new Passing(new Problem("refused", `${part.file.path}: 416`));
  }
  if (!response.ok) {
    const problem = refusal(response, part.file.path);
    throw PASSING.includes(response.status) && problem.code === "refused" ? new Passing(problem) : problem;
  }
  // A server without ranges begins anew, and so does one that gives another range.
  if (from > 0 && !continues(response, from)) {
    if (response.status === 206) {
      await response.body?.cancel();
      part.restart();
      throw new Passing(new Problem("refused", `${part.file.path}: another part than asked for`));
    }
    part.restart();
  }
  const reader = response.body?.getReader();
  if (!reader) throw new Passing(new Problem("offline", part.file.path));
  try {
    for (;;) {
      const { done, value } = await network(() => reader.read());
      if (done) break;
      part.append(value);
      onProgress();
    }
  } catch (thrown) {
    await reader.cancel().catch(() => undefined);
    throw thrown;
  }
  if (part.size < part.file.bytes) throw new Passing(new Problem("offline", `${part.file.path}: it ended early`));
}

function continues(response: Response, from: number): boolean {
  const range = response.headers.get("content-range");
  return response.status === 206 && (range === null || range.startsWith(`bytes ${from}-`));
}

/** What fails here is the connection. */
async function network<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (thrown) {
    throw new Passing(new Problem("offline", thrown instanceof Error ? thrown.message : String(thrown)));
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
