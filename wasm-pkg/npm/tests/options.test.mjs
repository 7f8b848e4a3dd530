// Options of runs: what is left out is left out, and what has the wrong form is refused by its name.

import assert from "node:assert/strict";
import { test } from "node:test";
import { withOptions } from "../dist/options.js";

test("options that are given as nothing are as if they were not given", () => {
  const nothing = { hints: undefined, stop: undefined, retrieval: null, splitting: undefined, maxTokens: undefined, sampling: { seed: undefined, temperature: 0.5 } };
  const request = withOptions({ kind: "ask", question: "Who?", earlier: [] }, { ...nothing, onToken: () => undefined, signal: undefined });
  assert.deepEqual(request, { kind: "ask", question: "Who?", earlier: [], sampling: { temperature: 0.5 } });
});

test("an option of another form is refused by its name", () => {
  const bad = [
    [{ maxTokens: -1 }, "maxTokens"],
    [{ maxTokens: 1.5 }, "maxTokens"],
    [{ maxTokens: NaN }, "maxTokens"],
    [{ maxTokens: "9" }, "maxTokens"],
    [{ topLogprobs: Infinity }, "topLogprobs"],
    [{ stop: "x" }, "stop"],
    [{ stop: ["x", 1] }, "stop"],
    [{ hints: "no" }, "hints"],
    [{ splitting: 1 }, "splitting"],
    [{ retrieval: "some" }, "retrieval"],
    [{ retrieval: { ids: "a" } }, "retrieval"],
    [{ sampling: 0.7 }, "sampling"],
    [{ sampling: { seed: -1 } }, "sampling.seed"],
    [{ sampling: { topK: 2.5 } }, "sampling.topK"],
    [{ sampling: { temperature: "hot" } }, "sampling.temperature"],
  ];
  for (const [options, name] of bad) {
    const named = (error) => error.code === "option" && error.message.startsWith(`${name}: must `);
    assert.throws(() => withOptions({ kind: "caption" }, options), named, JSON.stringify(options));
  }
  assert.throws(() => withOptions({ kind: "ask", question: 7 }, {}), { code: "option", message: /^question: / });
});
