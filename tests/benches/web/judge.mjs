// Holds a greedy answer to the reference's: by ids and probabilities where an engine tells them, else by its text.

/**
 * How much of an answer is as the reference gave it: `{ equal, prompt, same, of, gap, kl }`, where `same` of `of` tokens are the
 * reference's, `gap` is what it led by at the first other one, and `kl` is the mean divergence in nats, null where it is not known.
 *
 * `read(ids)` gives the bytes of tokens; `end` is the token that ends a turn.
 */
export function judged(answer, { prompt: question, ids, greedy, gaps, tops }, read, end) {
  const words = greedy.at(-1) === end ? greedy.slice(0, -1) : greedy;
  const { same, equal, seen } = answer.steps ? byIds(answer.steps, words) : byText(answer.text, words, read);
  // Behind the first other token the two read different texts.
  const alike = answer.steps?.slice(0, same + 1).slice(0, words.length);
  const kl = alike ? mean(alike.map((step, at) => divergence(tops[at], step.tops))) : null;
  return { question, prompt: answer.prompt === ids.length, equal, same, of: words.length, gap: gaps[same] ?? null, kl, ...(equal ? {} : seen) };
}

function byIds(steps, words) {
  const got = steps.map((step) => step.id);
  const other = words.findIndex((id, at) => got[at] !== id);
  const same = other < 0 ? words.length : other;
  return { same, equal: same === words.length && got.length === same, seen: { got, want: words } };
}

/** By bytes: a token may end within a letter. */
function byText(text, words, read) {
  const got = Buffer.from(text);
  const agrees = (count) => {
    const want = read(words.slice(0, count));
    return got.subarray(0, want.length).equals(want);
  };
  let same = 0;
  while (same < words.length && agrees(same + 1)) same += 1;
  return { same, equal: got.equals(read(words)), seen: { text, want: read(words).toString() } };
}

/**
 * Kullback-Leibler divergence, nats, over the tokens that the reference names and all others as one: at most that over the whole
 * vocabulary. Both are lists of `[id, log-probability]`.
 */
export function divergence(reference, told) {
  const known = new Map(told);
  // What is not told is at most as likely as the last that is.
  const least = Math.min(...known.values());
  let [sum, p, q] = [0, 0, 0];
  for (const [id, logprob] of reference) {
    const other = known.get(id) ?? least;
    sum += Math.exp(logprob) * (logprob - other);
    p += Math.exp(logprob);
    q += Math.exp(other);
  }
  // The reference's numbers have six digits: a rest within their rounding is none.
  const [rest, others] = [1 - p, Math.max(1 - q, Number.MIN_VALUE)];
  return rest > ROUNDING ? sum + rest * Math.log(rest / others) : sum;
}

const ROUNDING = 5e-6;

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
