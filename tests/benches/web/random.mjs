// Random bytes that are the same at every run.

let state = 1;

/** So many of them (Marsaglia's xorshift). */
export function random(count) {
  const words = new Uint32Array(Math.ceil(count / 4));
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return new Uint8Array(words.buffer, 0, count);
}
