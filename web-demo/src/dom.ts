// Building elements without strings of markup: nothing a visitor types can ever become HTML.

type Child = Node | string | null | undefined | false;

interface Properties {
  class?: string;
  /** Attributes and event listeners; `on...` are listeners, `true` an empty attribute, `false` and `null` none. */
  [name: string]: unknown;
}

/** A new element with attributes, listeners and children. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  properties: Properties = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What an element is called: by its label, else by its text. */
const nameOf = (element: Element): string => element.getAttribute("aria-label") ?? element.textContent ?? "";

/**
 * Replaces what is in `place` without taking the focus away: it stays where it is on an element that is kept, and goes from one that is
 * not to a new one of the same name. Whether there was one and it found no place is returned.
 */
export function renew(place: Element, ...children: Node[]): boolean {
  const focused = document.activeElement;
  if (!(focused instanceof HTMLElement) || focused === place || !place.contains(focused)) {
    place.replaceChildren(...children);
    return false;
  }
  place.replaceChildren(...children);
  const same = place.contains(focused)
    ? focused
    : [...place.querySelectorAll<HTMLElement>("button, a")].find((element) => nameOf(element) === nameOf(focused));
  same?.focus();
  return same === undefined;
}

/** A new SVG element. */
export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Record<string, string | number> = {},
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** The element that index.html promises. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no #${id}`);
  return element as T;
}

/** A step's number in its lens, and its title. */
export function stepTitle(step: number, id: string, title: string): HTMLElement {
  return h("h2", { id }, h("span", { class: "step", "aria-hidden": "true" }, String(step)), title);
}
