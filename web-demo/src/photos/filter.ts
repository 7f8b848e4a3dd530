// Which photos of the wall are shown: all, those with one of the things, or those with none.

import type { Concept } from "namelens";
import { colorOf } from "../colors.js";
import { h } from "../dom.js";
import type { Card } from "./card.js";

/** Not the id of any thing. */
const ALL = "";
const NONE = "\u0000none";

/** The row of buttons; hides the cards that are not asked for. */
export class Filter {
  /** The element to put into the page. */
  readonly element = h("div", { class: "quick filter", role: "group", "aria-label": "Which photos are shown" });
  #chosen: string = ALL;

  /** Counts anew and applies what is chosen. */
  update(cards: readonly Card[], things: readonly Concept[]): void {
    const looked = cards.filter(({ result }) => result !== null);
    const count = (id: string): number => looked.filter((card) => matches(card, id)).length;
    const some = things.map(({ id, name }) => ({ id, label: name, color: colorOf(id) })).filter(({ id }) => count(id) > 0);
    const choices = [{ id: ALL, label: "All", color: "" }, ...some, ...(count(NONE) > 0 ? [{ id: NONE, label: "Nothing found", color: "plain" }] : [])];
    if (!choices.some(({ id }) => id === this.#chosen)) this.#chosen = ALL;
    const focused = this.element.contains(document.activeElement) ? (document.activeElement as HTMLElement).dataset.id : undefined;
    this.element.replaceChildren(
      ...(looked.length === 0 ? [] : choices).map(({ id, label, color }) => {
        const amount = id === ALL ? cards.length : count(id);
        const button = h("button", { type: "button", class: `pill ${color}`, "data-id": id, "aria-pressed": String(id === this.#chosen) }, h("bdi", {}, label), ` ${amount}`);
        button.addEventListener("click", () => {
          this.#chosen = id;
          this.update(cards, things);
        });
        return button;
      }),
    );
    // Compared, not selected: one of the ids has a character that no selector has.
    if (focused !== undefined) ([...this.element.children] as HTMLElement[]).find(({ dataset }) => dataset.id === focused)?.focus();
    for (const card of cards) card.element.hidden = this.#chosen !== ALL && !matches(card, this.#chosen);
  }
}

/** What has not been looked through belongs to no thing. */
function matches(card: Card, id: string): boolean {
  if (id === ALL) return true;
  if (!card.result) return false;
  return id === NONE ? card.found.length === 0 : card.found.includes(id);
}
