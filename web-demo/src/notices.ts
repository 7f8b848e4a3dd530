// Messages that something failed or is worth knowing: in plain words, dismissible, read out once.

import { byId, h } from "./dom.js";
import { explain } from "./words.js";

const MOST = 3;

/** Shows an error. One that was asked for (a cancelled run) is not an error. */
export function showError(thrown: unknown): void {
  const { title, detail, hint, code } = explain(thrown);
  if (code === "cancelled" || code === "disposed") return;
  show("error", title, hint, detail);
}

/** Shows something good to know. */
export function showInfo(title: string, text: string): void {
  show("info", title, text);
}

/** Shows what does not work, in the page's own words. */
export function showProblem(title: string, hint: string, detail: string): void {
  show("error", title, hint, detail);
}

/** Takes all messages away: a new attempt starts with a clean slate. */
export function clearNotices(): void {
  byId("notices").replaceChildren();
}

function show(kind: "error" | "info", title: string, text: string, detail?: string): void {
  const area = byId("notices");
  const close = h("button", { type: "button", class: "quiet", "aria-label": `Dismiss: ${title}` }, "×");
  const notice = h(
    "div",
    { class: `notice notice-${kind}`, role: kind === "error" ? "alert" : "status" },
    h("div", {}, h("strong", {}, title), h("p", {}, text), detail ? h("p", { class: "fine" }, detail) : null),
    close,
  );
  close.addEventListener("click", () => {
    notice.remove();
    (area.querySelector("button") ?? document.querySelector("main"))?.focus({ preventScroll: true });
  });
  area.append(notice);
  while (area.childElementCount > MOST) area.firstElementChild?.remove();
}
