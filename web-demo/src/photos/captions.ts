// The way from facts to captions: a larger model, downloaded or from a folder.

import { byId, h } from "../dom.js";
import type { Session } from "../session.js";

/** The contents of the card. */
export function captionsCard(session: Session): HTMLElement[] {
  const words = h("p", {});
  const folder = h("button", { type: "button", class: "pill" }, "Load a model from a folder");
  folder.addEventListener("click", () => byId("model-open").click());
  const say = (writer: string | null): void => {
    words.textContent = writer
      ? `${writer} writes captions for your photos. What it knows of your things comes from the model that finds them.`
      : "What is loaded finds your things and says so plainly. A larger model beside it writes captions with their names, on this device as well.";
  };
  say(null);
  session.listen({ ready: ({ info: { model } }) => say(model.captions ? model.name : null) });
  return [
    h("h2", { id: "captions-title" }, "Write captions for my photos"),
    words,
    h("div", { class: "own" }, h("a", { class: "pill", href: "./download.html" }, "Get a model"), folder),
  ];
}
