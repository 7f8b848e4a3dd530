// What is drawn on a photo that was looked through: a box and a label in the colour of each name, with how sure it is.

import type { Mention, RunResult } from "namelens";
import { colorOf } from "../colors.js";
import { h, svg } from "../dom.js";
import { boxOf, labelOf } from "../stage.js";

/** From this confidence on a thing counts as found without a "perhaps", as the engine words it. */
const SURE = 0.8;

/** A photo in a frame, with what was found in it. */
export class MarkedPhoto {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #image = h("img", { alt: "", loading: "lazy", decoding: "async" });
  readonly #boxes = svg("svg", { class: "boxes", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  readonly #labels = h("div", { class: "labels", "aria-hidden": "true" });

  constructor() {
    this.element = h("div", { class: "marked" }, h("div", { class: "marked-frame" }, this.#image, this.#boxes, this.#labels));
    // Bytes that are no picture get no broken frame.
    this.#image.addEventListener("error", () => this.element.classList.add("no-picture"));
  }

  /** Shows a photo without anything on it. */
  show(address: string, alt: string): void {
    this.element.classList.remove("no-picture");
    this.#image.src = address;
    this.#image.alt = alt;
    this.clear();
  }

  /** Takes the boxes away. */
  clear(): void {
    this.#boxes.replaceChildren();
    this.#labels.replaceChildren();
  }

  /** Draws what was found. */
  mark({ mentions, retrieved, source }: Pick<RunResult, "mentions" | "retrieved" | "source">): void {
    const marks = seen(mentions).flatMap(({ id, name, box, confidence }) => {
      const sure = source === "captioner" || confidence >= SURE;
      const note = source === "captioner" ? "" : percent(confidence);
      const more = retrieved.find((found) => found.id === id)?.moreBoxes ?? [];
      return [box, ...more].map((box) => ({ id, name, box, sure, note }));
    });
    this.#boxes.replaceChildren(...marks.flatMap(boxOf));
    this.#labels.replaceChildren(...marks.map(labelOf));
  }
}

type Seen = Mention & { readonly box: NonNullable<Mention["box"]> };

/** The things that were found, each once. */
export function seen(mentions: readonly Mention[]): Seen[] {
  const found = new Map<string, Seen>();
  for (const mention of mentions) if (mention.box && !found.has(mention.id)) found.set(mention.id, mention as Seen);
  return [...found.values()];
}

/** Never a certainty that was not measured. */
const percent = (confidence: number): string => `${Math.min(Math.max(Math.round(confidence * 100), 1), 99)} %`;

/** A text whose percent signs stay with their numbers; as long as before, so that names are where they were. */
export const tied = (text: string): string => text.replaceAll(" %", "\u00a0%");

/** A name in its colour, small. */
export function smallTag(id: string, name: string): HTMLElement {
  return h("span", { class: `tag tag-small ${colorOf(id)}`, dir: "auto" }, name);
}
