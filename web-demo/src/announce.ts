// What a screen reader hears while text streams in: whole phrases, not every token.

import { byId } from "./dom.js";

const PAUSE_MS = 2500;

/** Says one thing politely. */
export function announce(text: string): void {
  byId("live").textContent = text;
}

/** A stream read out piece by piece: at most one piece per pause, always ending at a space. */
export class SpokenStream {
  #spoken = 0;
  #last = performance.now();

  /** The text so far. */
  update(text: string): void {
    const end = text.lastIndexOf(" ");
    if (end <= this.#spoken || performance.now() - this.#last < PAUSE_MS) return;
    this.#say(text.slice(this.#spoken, end));
    this.#spoken = end;
  }

  /** The whole text; says what was not said yet. */
  finish(text: string): void {
    this.#say(text.slice(this.#spoken));
    this.#spoken = text.length;
  }

  #say(part: string): void {
    this.#last = performance.now();
    if (part.trim() !== "") announce(part.trim());
  }
}
