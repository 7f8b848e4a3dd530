// The photo and what is drawn on it: one box and one label for every thing that was found.

import type { Box, Mention, Retrieved } from "namelens";
import type { Picked } from "./album.js";
import { colorOf } from "./colors.js";
import { h, svg } from "./dom.js";

/** A box to draw; `sure` is false while it is only a candidate. */
export interface Marked {
  readonly id: string;
  readonly name: string;
  readonly box: Box;
  readonly sure: boolean;
  /** What stands behind the name on its label. */
  readonly note?: string;
}

/** The photo on show. Boxes come in fractions of the photo as it is shown, so they need no size. */
export class Stage {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #image = h("img", { class: "stage-photo", alt: "" });
  readonly #boxes = svg("svg", { class: "boxes", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  readonly #labels = h("div", { class: "labels", "aria-hidden": "true" });
  readonly #frame = h("div", { class: "frame", hidden: true });
  #address: string | null = null;
  #marks = new Map<string, Marked>();
  /** The thing that is brought forward. */
  #forward: string | null = null;

  constructor() {
    // Bytes that are no picture get no broken frame; what is wrong with them is said by the run.
    this.#image.addEventListener("error", () => this.#showFrame(false));
    this.#frame.append(this.#image, this.#boxes, this.#labels);
    const empty = h(
      "div",
      { class: "stage-empty" },
      h("div", { class: "big-lens", "aria-hidden": "true" }),
      h("p", {}, "Pick a photo above, drop one here, or paste it."),
    );
    this.element = h("div", { class: "stage" }, empty, this.#frame);
  }

  /** Shows a photo without any boxes. */
  show({ blob, alt }: Picked): void {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = URL.createObjectURL(blob);
    this.#image.src = this.#address;
    this.#image.alt = alt;
    this.#showFrame(true);
    this.clear();
  }

  /** Takes the boxes away. */
  clear(): void {
    this.#marks.clear();
    this.highlight(null);
    this.#draw();
  }

  /** Draws where things might be, before the text says so. */
  candidates(concepts: readonly Retrieved[]): void {
    for (const { id, name, box } of concepts) if (box) this.#marks.set(id, { id, name, box, sure: false });
    this.#draw();
  }

  /** Draws where the named things are. With `final`, they replace everything drawn before. */
  mentions(mentions: readonly Mention[], final: boolean): void {
    if (final) this.#marks.clear();
    for (const { id, name, box } of mentions) {
      if (box) this.#marks.set(id, { id, name, box, sure: true });
    }
    this.#draw();
  }

  /** Draws one box: the answer to "where is it?". */
  located(id: string, name: string, box: Box): void {
    this.#marks.set(id, { id, name, box, sure: true });
    this.#draw();
    this.highlight(id);
  }

  /** Brings one thing forward, or none. */
  highlight(id: string | null): void {
    this.#forward = id;
    this.element.classList.toggle("highlighting", id !== null);
    for (const part of this.element.querySelectorAll<HTMLElement | SVGElement>("[data-id]")) {
      part.classList.toggle("highlit", part.dataset.id === id);
    }
  }

  #showFrame(shown: boolean): void {
    this.element.classList.toggle("has-photo", shown);
    this.#frame.hidden = !shown;
  }

  #draw(): void {
    const marks = [...this.#marks.values()];
    this.#boxes.replaceChildren(...marks.flatMap(boxOf));
    this.#labels.replaceChildren(...marks.filter(({ sure }) => sure).map(labelOf));
    this.highlight(this.#forward);
  }
}

/** The lines of a box. */
export function boxOf({ id, box: [x0, y0, x1, y1], sure }: Marked): SVGElement[] {
  const at = { x: x0 * 100, y: y0 * 100, width: Math.max(x1 - x0, 0) * 100, height: Math.max(y1 - y0, 0) * 100 };
  // A white line below the coloured one keeps the box visible on any picture.
  return ["halo", "line"].map((kind) => {
    const rect = svg("rect", { ...at, class: `box-${kind} ${colorOf(id)} ${sure ? "sure" : "maybe"}` });
    rect.dataset.id = id;
    return rect;
  });
}

/** The label of a box. */
export function labelOf({ id, name, box: [x0, y0, x1], sure, note }: Marked): HTMLElement {
  const words = note ? [sure ? null : h("span", {}, "perhaps "), h("bdi", {}, name), h("span", {}, ` ${note}`)] : [name];
  const label = h("span", { class: `tag tag-small ${note ? "noted " : ""}${colorOf(id)}`, "data-id": id, dir: "auto" }, ...words);
  // Set through the object model: the policy forbids style attributes, not this.
  const percent = (part: number): string => `${part * 100}%`;
  // On the small photos of a wall there is less room above a box.
  const inside = y0 < (note ? 0.16 : 0.09);
  if (note) {
    // With more than a name on it, it needs room: it grows away from the nearer edge, and ends at the other one.
    const fromRight = x0 + x1 > 1;
    const start = Math.min(Math.max(fromRight ? 1 - x1 : x0, 0), 0.4);
    label.style[fromRight ? "right" : "left"] = percent(start);
    // Inside its box it stands a little away from the corner.
    label.style.maxWidth = `calc(${percent(1 - start)} - ${inside ? 10 : 3}px)`;
    label.classList.toggle("from-right", fromRight);
  } else {
    label.style.left = percent(Math.min(Math.max(x0, 0), 0.85));
  }
  label.style.top = percent(Math.max(y0, 0));
  label.classList.toggle("inside", inside);
  return label;
}
