// A button that throws something away: the first press asks, the second does it.

import { h } from "../dom.js";

/** Reads `label`, and after one press `question` until the focus leaves it; `name` says of what, for those who hear it. */
export function sureButton(label: string, question: string, name: string, act: () => void): HTMLButtonElement {
  const button = h("button", { type: "button", class: "pill", "aria-label": `${label} ${name}` }, label);
  let asked = false;
  const show = (now: boolean): void => {
    asked = now;
    button.textContent = now ? question : label;
    button.setAttribute("aria-label", `${now ? question : label} ${name}`);
    button.classList.toggle("asks", now);
  };
  button.addEventListener("click", () => {
    if (asked) act();
    show(!asked);
  });
  button.addEventListener("blur", () => show(false));
  return button;
}
