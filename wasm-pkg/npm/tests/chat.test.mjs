// Conversations: each turn carries those before it, failed turns leave no trace, and the photo is read once.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Chat } from "../dist/chat.js";
import { Run } from "../dist/run.js";

const PHOTO = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 1, 2, 3);

/** A chat over an engine that answers with the number of the call. */
function start(answer = async (n) => ({ text: `answer ${n}`, raw: `<answer> ${n}` }), options = {}) {
  const asked = [];
  const chat = new Chat(PHOTO, options, (photo, what, how) => {
    asked.push({ photo, what, how });
    return new Run(async (emit, stop) => {
      emit({ type: "text", delta: "a", text: "a", mentions: [] });
      how.onEvent?.({ type: "text", delta: "a", text: "a", mentions: [] });
      return answer(asked.length, stop);
    }, how.signal);
  });
  return { chat, asked };
}

test("a turn is asked with all turns before it, in their raw words", async () => {
  const { chat, asked } = start();
  assert.equal((await chat.caption()).text, "answer 1");
  await chat.ask("Where?");
  await chat.ask("And why?");
  assert.deepEqual(asked.map(({ what }) => [what.kind, what.question, what.earlier.length]), [
    ["caption", undefined, 0],
    ["ask", "Where?", 1],
    ["ask", "And why?", 2],
  ]);
  assert.deepEqual(asked[2].what.earlier, [
    { question: "Give a personalized caption of this image.", answer: "<answer> 1" },
    { question: "Where?", answer: "<answer> 2" },
  ]);
  assert.deepEqual(chat.turns.map(({ question, result }) => [question, result.text]), [
    ["Give a personalized caption of this image.", "answer 1"],
    ["Where?", "answer 2"],
    ["And why?", "answer 3"],
  ]);
  assert.equal(asked[0].photo, asked[2].photo, "the photo's bytes are read once");
  assert.deepEqual(new Uint8Array(await asked[0].photo.arrayBuffer()), PHOTO);
});

test("a turn's options come before those of the conversation, and what one leaves undefined it leaves to the other", async () => {
  const { chat, asked } = start(undefined, { maxTokens: 12, hints: false });
  await chat.ask("Where?", { maxTokens: undefined, hints: true });
  assert.deepEqual([asked[0].how.maxTokens, asked[0].how.hints], [12, true]);
});

test("turns wait for each other, and stream", async () => {
  const { chat, asked } = start(async (n) => {
    await new Promise((resolve) => setTimeout(resolve, 20 / n));
    return { raw: String(n) };
  });
  const heard = [];
  const runs = [chat.ask("a", { onEvent: ({ delta }) => heard.push(delta) }), chat.ask("b"), chat.ask("c")];
  const events = [];
  for await (const event of runs[0]) events.push(event.type);
  await Promise.all(runs);
  assert.deepEqual(asked.map(({ what }) => what.earlier.map(({ answer }) => answer)), [[], ["1"], ["1", "2"]]);
  assert.deepEqual([events, heard], [["text"], ["a"]]);
});

test("a turn that fails or is stopped is no part of the conversation, and does not end it", async () => {
  const { chat, asked } = start(async (n, stop) => {
    if (n === 2) throw Object.assign(new Error("gone"), { code: "memory" });
    if (n === 3) await new Promise((_, reject) => stop.addEventListener("abort", () => reject(new DOMException("x", "AbortError"))));
    return { raw: String(n) };
  });
  await chat.ask("a");
  await assert.rejects(chat.ask("b"), { code: "memory" });
  const stopped = chat.ask("c");
  setTimeout(() => stopped.cancel(), 10);
  await assert.rejects(stopped, { code: "cancelled" });
  await chat.ask("d");
  assert.deepEqual(asked[3].what.earlier, [{ question: "a", answer: "1" }]);
  assert.equal(chat.turns.length, 2);
});

test("reset forgets, also what is under way; a disposed conversation says so", async () => {
  let release;
  const { chat, asked } = start(async (n) => {
    if (n === 2) await new Promise((resolve) => (release = resolve));
    return { raw: String(n) };
  });
  await chat.ask("a");
  const late = chat.ask("b");
  while (!release) await new Promise((resolve) => setTimeout(resolve));
  chat.reset();
  release();
  assert.equal((await late).raw, "2");
  assert.deepEqual(chat.turns, []);
  await chat.ask("c");
  assert.deepEqual(asked[2].what.earlier, []);
  chat.dispose();
  assert.deepEqual(chat.turns, []);
  await assert.rejects(chat.ask("e"), { code: "disposed" });
  assert.equal(asked.length, 3);
});

test("options of the conversation hold for every turn, those of the turn come first", async () => {
  const { chat, asked } = start(undefined, { maxTokens: 5, hints: false });
  await chat.ask("a", { maxTokens: 9, splitting: false });
  const { maxTokens, hints, splitting } = asked[0].how;
  assert.deepEqual({ maxTokens, hints, splitting }, { maxTokens: 9, hints: false, splitting: false });
});
