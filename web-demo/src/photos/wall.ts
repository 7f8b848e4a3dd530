// The wall of photos: looked through one after the other, each with its result as soon as there is one.

import type { Run, RunResult } from "namelens";
import type { Picked } from "../album.js";
import { announce } from "../announce.js";
import { h } from "../dom.js";
import type { Session } from "../session.js";
import { explain } from "../words.js";
import { Card } from "./card.js";
import { Filter } from "./filter.js";
import { Viewer } from "./viewer.js";

/** More photos than this are not looked through again without being asked. */
const MOST_AGAIN = 24;

/** The results and what is under way. */
export class Wall {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #onResult: (result: RunResult) => void;
  readonly #viewer: Viewer;
  readonly #filter = new Filter();
  readonly #list = h("ul", { class: "wall", "aria-label": "Photos" });
  readonly #words = h("span", { class: "fine", id: "wall-progress" });
  readonly #bar = h("progress", { max: 1, value: 0, "aria-labelledby": "wall-progress" });
  readonly #busy: HTMLElement;
  /** What there is to know while nothing is under way. */
  readonly #rest = h("p", { class: "fine", tabindex: -1 }, "Choose or drop as many as you like. Those below came with the page; yours take their place.");
  #cards: Card[] = [];
  /** Photos that came with the page and make room for the visitor's own. */
  #samples = true;
  #run: Run<RunResult> | null = null;
  #turn = 0;
  #passes = 0;
  /** How often the things changed; a card that was looked through before the last time knows not all of them. */
  #things = 0;

  /** `onResult` hears of every photo that was looked through. */
  constructor(session: Session, onResult: (result: RunResult) => void) {
    this.#session = session;
    this.#onResult = onResult;
    this.#viewer = new Viewer(session);
    const cancel = h("button", { type: "button", class: "pill" }, "Cancel");
    cancel.addEventListener("click", () => {
      this.stop();
      this.#rest.focus({ preventScroll: true }); // the button is gone
    });
    this.#busy = h("div", { class: "busy" }, this.#bar, this.#words, cancel);
    const status = h("div", { class: "wall-status" }, this.#busy, this.#rest);
    this.element = h("div", { class: "wall-place", "data-settled": "0", "aria-busy": "false" }, status, this.#filter.element, this.#list);
    this.#setBusy(false);
  }

  /** Puts photos of the album on it, which are looked through when there is something to look for. */
  addSamples(photos: readonly Picked[]): void {
    if (this.#samples) this.#put(photos);
  }

  /** Puts the visitor's photos in front and looks through them. */
  add(photos: readonly Picked[]): void {
    if (photos.length === 0) return;
    if (this.#samples) this.#empty();
    this.#samples = false;
    if (this.#session.concepts.length === 0) this.#rest.textContent = "They are looked through as soon as the model is here and a thing has a name.";
    const fresh = this.#put(photos);
    this.#recount();
    const pending = this.#cards.filter((card) => !fresh.includes(card) && (card.state === "waiting" || card.state === "looking"));
    void this.#look([...fresh, ...pending]);
  }

  /** Looks through the photos that wait, if nothing else is under way. */
  goOn(): void {
    const waiting = this.#cards.filter(({ state }) => state === "waiting");
    if (this.#busy.hidden && waiting.length > 0) void this.#look(waiting);
  }

  /** Looks through all photos again. */
  again(): void {
    void this.#look(this.#cards);
  }

  /** The things changed: what was found is out of date. What takes a moment is looked through at once, of more it is said. */
  async thingsChanged(): Promise<void> {
    this.#things += 1;
    if (this.#session.concepts.length === 0) {
      this.stop();
      for (const card of this.#cards) card.become("waiting");
      return this.#recount();
    }
    const { captions } = (await this.#session.lens()).info.model;
    const waits = this.#cards.every(({ state }) => state === "waiting");
    if (waits || (!captions && this.#cards.length <= MOST_AGAIN)) return this.again();
    this.#rest.textContent = this.#summary();
    this.#recount();
  }

  /** Stops looking; what was found stays. */
  stop(): void {
    if (this.#busy.hidden) return;
    this.#turn += 1;
    this.#run?.cancel();
    this.#run = null;
    for (const card of this.#cards) if (card.state === "waiting" || card.state === "looking") card.become("stopped");
    this.#finish("Stopped");
  }

  #put(photos: readonly Picked[]): Card[] {
    const open = (card: Card): void => this.#viewer.open(card, this.#cards.filter(({ element }) => !element.hidden));
    const cards = photos.map((picked) => new Card(picked, open, (card) => this.#viewer.changed(card)));
    this.#cards = [...cards, ...this.#cards];
    this.#list.prepend(...cards.map(({ element }) => element));
    return cards;
  }

  #empty(): void {
    for (const card of this.#cards) card.remove();
    this.#cards = [];
  }

  /** One pass at a time: a new one takes over. */
  async #look(cards: readonly Card[]): Promise<void> {
    const turn = ++this.#turn;
    this.#run?.cancel();
    this.#run = null;
    for (const card of cards) card.become("waiting");
    // Without a name there is nothing to look for; the photos wait.
    if (this.#session.concepts.length === 0 || cards.length === 0) return this.#recount();
    this.#setBusy(true);
    for (const [at, card] of cards.entries()) {
      this.#bar.value = at / cards.length;
      this.#words.textContent = `${at + 1} of ${cards.length}`;
      const goesOn = await this.#lookThrough(card, () => turn === this.#turn);
      if (turn !== this.#turn) return;
      if (!goesOn) return this.stop();
      this.#recount();
    }
    this.#finish(this.#summary());
  }

  /** Looks through one photo. Resolves to false when there is no engine to go on with. */
  async #lookThrough(card: Card, mine: () => boolean): Promise<boolean> {
    card.become("looking");
    try {
      const lens = await this.#session.lens();
      if (!mine()) return false;
      const things = this.#things;
      const run = (this.#run = lens.caption(card.picked.blob));
      for await (const event of run) if (mine()) card.follow(event);
      const result = await run;
      if (!mine()) return false;
      card.show(result, this.#session.concepts, things);
      this.#onResult(result);
    } catch (thrown) {
      if (!mine()) return false;
      if (["disposed", "cancelled"].includes(explain(thrown).code)) return false;
      card.fail(thrown);
    }
    return true;
  }

  #summary(): string {
    const all = this.#cards.filter(({ result }) => result !== null);
    const looked = all.filter(({ things }) => things === this.#things);
    const old = all.length - looked.length;
    const changed = `Your things changed since ${old} of these photos ${old === 1 ? "was" : "were"} looked through; “Look again” searches them for all.`;
    if (looked.length === 0 && old > 0) return changed;
    const counts = this.#session.concepts.map(({ id, name }) => `${name} in ${looked.filter(({ found }) => found.includes(id)).length}`);
    return `${looked.length} ${looked.length === 1 ? "photo was" : "photos were"} looked through: ${counts.join(", ")}.${old > 0 ? ` ${changed}` : ""}`;
  }

  #recount(): void {
    this.#filter.update(this.#cards, this.#session.concepts);
  }

  #finish(words: string): void {
    this.#setBusy(false);
    this.#rest.textContent = words;
    announce(words);
    this.#recount();
    this.#passes += 1;
    this.element.dataset.settled = String(this.#passes);
  }

  #setBusy(busy: boolean): void {
    this.#busy.hidden = !busy;
    this.#rest.hidden = busy;
    this.element.setAttribute("aria-busy", String(busy));
  }
}
