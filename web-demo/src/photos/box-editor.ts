// The box round a thing in its photo: dragged by its eight handles with mouse, finger or pen, or moved with the arrow keys.

import type { Box } from "namelens";
import type { Picked } from "../album.js";
import { announce } from "../announce.js";
import { h } from "../dom.js";
import { boxWords, drawn, HANDLES, moved, resized, type Sides } from "./box-math.js";

/** How far an arrow key goes. */
const STEP = 0.02;
/** Milliseconds without another key after which a change counts. */
const PAUSE_MS = 400;
const ARROWS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-STEP, 0],
  ArrowRight: [STEP, 0],
  ArrowUp: [0, -STEP],
  ArrowDown: [0, STEP],
};

type Point = readonly [x: number, y: number];

/** A drag under way: what the box is when the pointer is at a point. */
interface Drag {
  readonly pointer: number;
  readonly at: (point: Point) => Box;
}

/** The photo with its box. */
export class BoxEditor {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #onChange: (box: Box) => void;
  readonly #image = h("img", { class: "editor-photo", alt: "", draggable: "false" });
  readonly #box = h("div", {
    class: "editor-box",
    role: "application",
    tabindex: "0",
    hidden: true,
    "aria-roledescription": "box",
    "aria-label": "Box round the thing",
    "aria-describedby": "box-keys",
  });
  /** The part of the photo that is not darkened. */
  readonly #hole = h("div", { class: "editor-hole" });
  readonly #frame: HTMLElement;
  #address: string | null = null;
  #value: Box | null = null;
  #proposed: Box | null = null;
  #drag: Drag | null = null;
  #pause: ReturnType<typeof setTimeout> | undefined;

  /** `onChange` hears of every box the visitor settles on. */
  constructor(onChange: (box: Box) => void) {
    this.#onChange = onChange;
    this.#box.append(...HANDLES.map(handle));
    this.#frame = h("div", { class: "editor-frame", hidden: true }, this.#image, h("div", { class: "editor-shade" }, this.#hole), this.#box);
    const empty = h(
      "div",
      { class: "stage-empty" },
      h("div", { class: "big-lens", "aria-hidden": "true" }),
      h("p", {}, "Pick a photo of one thing above, drop one here, or paste it."),
    );
    this.element = h("div", { class: "editor" }, empty, this.#frame);
    this.#image.addEventListener("error", () => this.clear());
    this.#frame.addEventListener("pointerdown", (event) => this.#grab(event));
    this.#frame.addEventListener("pointermove", (event) => this.#follow(event));
    for (const end of ["pointerup", "pointercancel"] as const) this.#frame.addEventListener(end, (event) => this.#release(event));
    this.#box.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Where the thing is; null until somebody said. */
  get box(): Box | null {
    return this.#value;
  }

  /** Shows a photo without a box. */
  show({ blob, alt }: Picked): void {
    this.clear();
    this.#address = URL.createObjectURL(blob);
    this.#image.src = this.#address;
    this.#image.alt = alt;
    this.#frame.hidden = false;
    this.element.classList.add("has-photo");
  }

  /** Draws the box that is proposed. */
  propose(box: Box): void {
    this.#proposed = box;
    this.#draw(box);
  }

  /** Takes photo and box away. */
  clear(): void {
    clearTimeout(this.#pause);
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = null;
    this.#value = this.#proposed = this.#drag = null;
    this.#box.hidden = this.#hole.hidden = this.#frame.hidden = true;
    this.element.classList.remove("has-photo");
  }

  #draw(box: Box): void {
    this.#value = box;
    const [left, top, right, bottom] = box;
    const percent = (part: number): string => `${part * 100}%`;
    // Set through the object model: the policy forbids style attributes, not this.
    const place = { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
    for (const { style } of [this.#box, this.#hole]) Object.assign(style, place);
    this.#hole.hidden = false;
    this.#box.setAttribute("aria-label", `Box round the thing: ${boxWords(box)}`);
    this.#box.hidden = false;
  }

  #settle(): void {
    if (this.#value) this.#onChange(this.#value);
  }

  #pointAt(event: PointerEvent): Point {
    const { left, top, width, height } = this.#frame.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  #grab(event: PointerEvent): void {
    if (event.button !== 0 || this.#drag || !this.#value) return;
    const target = event.target as Element;
    const inside = this.#box.contains(target);
    // A finger beside the box scrolls the page; a mouse or a pen draws a new box there.
    if (!inside && event.pointerType === "touch") return;
    event.preventDefault();
    const [from, before] = [this.#pointAt(event), this.#value];
    const sides = sidesOf(target);
    this.#drag = {
      pointer: event.pointerId,
      at: (to) => {
        const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
        if (sides) return resized(before, sides, dx, dy);
        return inside ? moved(before, dx, dy) : drawn(from, to);
      },
    };
    this.#frame.setPointerCapture(event.pointerId);
    this.#box.focus({ preventScroll: true });
  }

  #follow(event: PointerEvent): void {
    if (event.pointerId === this.#drag?.pointer) this.#draw(this.#drag.at(this.#pointAt(event)));
  }

  #release(event: PointerEvent): void {
    if (event.pointerId !== this.#drag?.pointer) return;
    this.#drag = null;
    this.#settle();
  }

  #key(event: KeyboardEvent): void {
    const box = this.#value;
    const arrow = ARROWS[event.key];
    if (!box || event.altKey || event.ctrlKey || event.metaKey) return;
    if (arrow) this.#draw(event.shiftKey ? resized(box, { x: 1, y: 1 }, ...arrow) : moved(box, ...arrow));
    else if (event.key === "Home" && this.#proposed) this.#draw(this.#proposed);
    else return;
    event.preventDefault();
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      if (this.#value) announce(`The box is ${boxWords(this.#value)}`);
      this.#settle();
    }, PAUSE_MS);
  }
}

/** How the box is moved without a pointer; the box is described by it. */
export function keysHint(): HTMLElement {
  const keys = h("span", { class: "for-keys" }, " Keys: arrows move it, Shift and arrows resize it, Home brings the first one back.");
  return h("p", { class: "fine", id: "box-keys" }, "Drag the box round the thing and nothing else.", keys);
}

function handle({ x, y }: Sides): HTMLElement {
  const part = h("span", { class: "editor-handle", "data-x": x, "data-y": y, "aria-hidden": "true" });
  Object.assign(part.style, { left: `${(x + 1) * 50}%`, top: `${(y + 1) * 50}%` });
  return part;
}

function sidesOf(target: Element): Sides | null {
  const { x, y } = (target as HTMLElement).dataset;
  return x === undefined || y === undefined ? null : ({ x: Number(x), y: Number(y) } as Sides);
}
