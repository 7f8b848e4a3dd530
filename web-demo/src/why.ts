// What was retrieved and why: the things that were put before the model for this photo.

import type { Retrieved } from "namelens";
import { colorOf } from "./colors.js";
import { h } from "./dom.js";
import { REASONS } from "./words.js";

/** The panel; `show` fills it after every run. */
export class WhyPanel {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #rows = h("ul", { class: "why-rows" });

  constructor() {
    this.element = h(
      "details",
      { class: "why", open: true, hidden: true },
      h("summary", {}, "What was compared, and why"),
      this.#rows,
    );
  }

  /** Shows what a run retrieved; `shelf` is how many things have names. */
  show(retrieved: readonly Retrieved[], shelf: number): void {
    this.element.hidden = false;
    const rows = retrieved.map(row);
    const none = shelf === 0 ? "No thing has a name yet." : "None of your things looks like anything in this photo.";
    this.#rows.replaceChildren(...(rows.length ? rows : [h("li", { class: "fine" }, none)]));
  }

  /** Nothing to show: another photo was picked. */
  hide(): void {
    this.element.hidden = true;
  }
}

function row({ id, name, score, threshold, confidence, reason, box }: Retrieved): HTMLElement {
  const enough = score >= threshold;
  const likeness = `${score.toFixed(2)}, ${enough ? "enough" : "too little"} (needs ${threshold.toFixed(2)})`;
  const words = `${REASONS[reason]}: ${confidence === null ? likeness : `${Math.round(confidence * 100)} % sure`}`;
  const edge = confidence === null ? threshold : 0.5;
  const meter = h("meter", {
    min: 0,
    max: 1,
    value: Math.min(Math.max(confidence ?? score, 0), 1),
    low: edge,
    high: edge,
    optimum: 1,
    "aria-label": `Likeness of ${name}`,
  });
  return h(
    "li",
    {},
    h("span", { class: `tag tag-small ${colorOf(id)}`, dir: "auto" }, name),
    meter,
    h("span", { class: "fine" }, words, box ? "" : "; no place for it in the photo"),
  );
}
