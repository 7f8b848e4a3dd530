// One photo on the wall: what was found in it and how sure, what was not, or why it could not be looked through.

import type { Concept, RunEvent, RunResult } from "namelens";
import type { Picked } from "../album.js";
import { renderNamed } from "../caption.js";
import { h } from "../dom.js";
import { explain } from "../words.js";
import { MarkedPhoto, seen, smallTag, tied } from "./marks.js";

/** How a photo is doing. */
export type State = "waiting" | "looking" | "done" | "failed" | "stopped";

/** Names of absent things that are listed; of more only the number is told. */
const MOST_ABSENT = 3;

const WORDS: Partial<Record<State, string>> = { waiting: "Not looked through yet", looking: "Looking…", stopped: "Stopped before it was looked through" };

/** A photo and its results. */
export class Card {
  /** The element to put into the wall. */
  readonly element: HTMLElement;
  readonly picked: Picked;
  readonly address: string;
  readonly #photo = new MarkedPhoto();
  readonly #text = h("p", { class: "facts", dir: "auto" });
  readonly #absent = h("p", { class: "fine absent" });
  readonly #open: HTMLButtonElement;
  readonly #onChange: (card: Card) => void;
  #state: State = "waiting";
  #result: RunResult | null = null;
  #things = 0;

  /** `onOpen` is called when the visitor wants to see it large, `onChange` when it shows something else. */
  constructor(picked: Picked, onOpen: (card: Card) => void, onChange: (card: Card) => void) {
    this.picked = picked;
    this.#onChange = onChange;
    this.address = URL.createObjectURL(picked.blob);
    this.#photo.show(this.address, "");
    this.#open = h("button", { type: "button", class: "card-open", "aria-label": `Show large: ${picked.alt}` }, this.#photo.element);
    this.#open.addEventListener("click", () => onOpen(this));
    this.element = h("li", { class: "result" }, this.#open, h("div", { class: "result-words" }, this.#text, this.#absent));
    this.#say("waiting");
  }

  /** How it is doing. */
  get state(): State {
    return this.#state;
  }

  /** What was found; null until it was looked through. */
  get result(): RunResult | null {
    return this.#result;
  }

  /** Which state of the things it was searched for. */
  get things(): number {
    return this.#things;
  }

  /** What it says, whatever its state. */
  get words(): string {
    return this.#text.textContent ?? "";
  }

  /** Ids of the things that were found. */
  get found(): readonly string[] {
    return seen(this.#result?.mentions ?? []).map(({ id }) => id);
  }

  /** It waits, is being looked through, or was not. What was found before goes. */
  become(state: "waiting" | "looking" | "stopped"): void {
    this.#result = null;
    this.#photo.clear();
    this.#say(state);
    this.#onChange(this);
  }

  /** A captioner writes while it looks. */
  follow(event: RunEvent): void {
    if (event.type !== "text") return;
    renderNamed(this.#text, tied(event.text), event.mentions, () => undefined);
    this.#onChange(this);
  }

  /** Shows what was found, and which of the things were not; `state` numbers the state of the things. */
  show(result: RunResult, things: readonly Concept[], state: number): void {
    this.#result = result;
    this.#things = state;
    this.#say("done");
    this.#photo.mark(result);
    renderNamed(this.#text, tied(result.text), result.mentions, () => undefined);
    const found = new Set(this.found);
    const absent = found.size === 0 ? [] : things.filter(({ id }) => !found.has(id));
    if (absent.length > MOST_ABSENT) this.#absent.append(`${absent.length} other things were not found.`);
    else if (absent.length > 0) this.#absent.append("Not found: ", ...absent.flatMap(({ id, name }, at) => [at > 0 ? " " : "", smallTag(id, name)]));
    this.#onChange(this);
  }

  /** Shows why it could not be looked through. */
  fail(thrown: unknown): void {
    const { title, detail } = explain(thrown);
    this.#say("failed");
    this.#text.textContent = `${title}.`;
    // Without a picture nothing else says which file it is.
    this.#absent.textContent = `${this.picked.alt}: ${detail}`;
    this.#onChange(this);
  }

  /** Gives the keyboard's focus to it. */
  focus(): void {
    this.#open.focus();
  }

  /** Takes it from the wall. */
  remove(): void {
    this.element.remove();
    URL.revokeObjectURL(this.address);
  }

  #say(state: State): void {
    this.#state = state;
    this.element.dataset.state = state;
    this.#text.textContent = WORDS[state] ?? "";
    this.#absent.replaceChildren();
  }
}
