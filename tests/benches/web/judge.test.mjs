// The judge of answers feels another token, another text, and other probabilities.

import assert from "node:assert/strict";
import test from "node:test";
import { divergence, judged } from "./judge.mjs";

const END = 2;
const read = (ids) => Buffer.concat(ids.map((id) => Buffer.from(["", "", "", "a", "é", "c"][id])));
const half = Math.log(0.5);
const tops = [[[3, half], [4, Math.log(0.25)]], [[4, half], [3, Math.log(0.25)]], [[END, half], [3, Math.log(0.25)]]];
const asked = { prompt: "?", ids: [7, 8], greedy: [3, 4, END], gaps: [1, 2, 3], tops };
const steps = (...ids) => ids.map((id, at) => ({ id, tops: tops[at] }));

test("by ids: the reference's answer, another token, one too many, one too few", () => {
  const of = (...ids) => judged({ prompt: 2, steps: steps(...ids) }, asked, read, END);
  const right = of(3, 4);
  assert.deepEqual([right.equal, right.same, right.of, right.gap, right.prompt], [true, 2, 2, 3, true]);
  assert.ok(Math.abs(right.kl) < 1e-12);
  const other = of(3, 5);
  assert.deepEqual([other.equal, other.same, other.gap, other.got], [false, 1, 2, [3, 5]]);
  assert.equal(of(3, 4, 5).equal, false);
  assert.equal(of(3).equal, false);
  assert.equal(judged({ prompt: 3, steps: steps(3, 4) }, asked, read, END).prompt, false);
});

test("by text: letters of several tokens, and no divergence, for none is told", () => {
  const of = (text) => judged({ prompt: 2, text }, asked, read, END);
  assert.deepEqual([of("aé").equal, of("aé").kl], [true, null]);
  assert.deepEqual([of("ae").equal, of("ae").same], [false, 1]);
  assert.deepEqual([of("aéc").equal, of("aéc").same], [false, 2]);
});

test("divergence is that of the definition, and what is not told is at most as likely as the last that is", () => {
  const near = (got, want) => assert.ok(Math.abs(got - want) < 1e-12, `${got} for ${want}`);
  near(divergence([[1, half]], [[1, half], [9, -9]]), 0);
  const told = [[1, Math.log(0.25)], [2, Math.log(0.5)]];
  near(divergence([[1, half]], told), 0.5 * Math.log(2) + 0.5 * Math.log(0.5 / 0.75));
  near(divergence([[3, half]], told), 0.5 * Math.log(2) + 0.5 * Math.log(0.5 / 0.75));
  // Probabilities that differ tell even where the token is the same.
  const sure = judged({ prompt: 2, steps: [{ id: 3, tops: [[3, Math.log(0.9)], [4, Math.log(0.05)]] }, ...steps(3, 4).slice(1)] }, asked, read, END);
  assert.ok(sure.equal && sure.kl > 0.1);
});
