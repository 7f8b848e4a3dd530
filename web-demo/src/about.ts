// "What is this?": the truth about the model and about privacy, in a dialog.

import { byId, h } from "./dom.js";
import type { Session } from "./session.js";

/** Wires the button to the dialog. */
export function startAbout(session: Session): void {
  const knows = h("p", { class: "fine" });
  session.listen({
    ready: ({ info: { model } }) => {
      knows.textContent = model.knows ? `The loaded model says: ${model.knows}` : `${model.name} does not say what it was trained on.`;
    },
  });
  const close = h("button", { type: "button", class: "primary" }, "Close");
  const paragraph = (title: string, text: string): HTMLElement => h("div", {}, h("h3", {}, title), h("p", {}, text));
  const dialog = h(
    "dialog",
    { class: "about", "aria-labelledby": "about-title" },
    h("h2", { id: "about-title" }, "What is this?"),
    paragraph(
      "A captioner that uses your names",
      "Show it one photo of a thing and say what it is called. From then on it looks for that thing in every photo, points at it, and writes captions and answers with its name.",
    ),
    paragraph(
      "What it can and cannot do",
      "The built-in model was trained from scratch, for this page, on the Playroom: a small drawn world of toys. It describes those, often rightly, sometimes not. Photographs of the real world mean nothing to it. A larger model can be loaded in its place: “Change the model” at the foot of the page leads to models to download, and takes a folder of your own; or put one beside this page and add ?model=folder/ to the address.",
    ),
    paragraph(
      "Private by construction",
      "There is no server behind this page. The model runs here, on your processor or graphics card; photos and names stay in this browser until you delete them. The browser refuses this page, and the engine in it, every connection to another place; models are downloaded by a page of their own, which has no photos. After the first visit the page works without a connection.",
    ),
    knows,
    h("p", { class: "fine" }, "Free to use and change. ", h("a", { href: "./THIRD_PARTY_NOTICES.txt" }, "Licences, and whose work this page carries")),
    close,
  );
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  byId("about-open").addEventListener("click", () => dialog.showModal());
}
