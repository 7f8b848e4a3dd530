// One small file over the network into memory, with progress, an expected size and a way out.

import { cancelled, NameLensError } from "./errors.js";

/**
 * Fetches `url` whole. `expected` is its size in bytes when that is known: more is refused while it arrives.
 * Rejects with code `network`, `http`, `integrity` or `cancelled`.
 */
export async function download(
  url: string,
  expected: number | null,
  onProgress: (done: number, total: number) => void,
  signal: AbortSignal,
  cache: RequestCache = "default",
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let done = 0;
  try {
    const response = await fetch(url, { signal, cache });
    if (!response.ok) throw new NameLensError("http", `${url}: the server answered ${response.status}`);
    // A compressed transfer states the compressed length, so it is a guess at best.
    const total = expected ?? 0;
    const reader = response.body?.getReader();
    for (;;) {
      const next = await reader?.read();
      if (!next || next.done) break;
      chunks.push(next.value);
      done += next.value.byteLength;
      if (expected !== null && done > expected) {
        await reader?.cancel();
        throw new NameLensError("integrity", `${url}: longer than the ${expected} bytes it should have`);
      }
      onProgress(done, total);
    }
  } catch (thrown) {
    if (thrown instanceof NameLensError) throw thrown;
    if (signal.aborted) throw cancelled(signal);
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    throw new NameLensError("network", `${url}: ${why}`, { cause: thrown });
  }
  const whole = new Uint8Array(done);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
