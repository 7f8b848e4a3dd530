// "What is this?": the truth about the model and about privacy, in a dialog.

import type { ModelInfo } from "namelens";
import { byId, h } from "./dom.js";
import type { Session } from "./session.js";

/** Wires the button to the dialog. */
export function startAbout(session: Session): void {
  const knows = h("p", { class: "fine" });
  session.listen({
    ready: ({ info: { model } }) => (knows.textContent = trainedOn(model)),
  });
  const close = h("button", { type: "button", class: "primary" }, "Close");
  const paragraph = (title: string, text: string): HTMLElement => h("div", {}, h("h3", {}, title), h("p", {}, text));
  const dialog = h(
    "dialog",
    { class: "about", "aria-labelledby": "about-title" },
    // Else the focus would go to what lies at the end, and a small screen with it.
    h("h2", { id: "about-title", tabindex: "-1", autofocus: true }, "What is this?"),
    paragraph(
      "It knows your things by name",
      "Show it one photo of a thing and say what it is called. From then on it looks for that thing in every photo, points at it, says how sure it is, and captions use its name.",
    ),
    paragraph(
      "What it can and cannot do",
      "In “Your photos” a model trained on photographs recognises real things from one photo of each. It says what it found and how sure it is, and makes nothing up; it can take one thing for another that looks alike. The “Playroom” shows what captions and questions are like, with a model that was trained from scratch on a small drawn world of toys and knows nothing else. A larger model can be loaded in its place: “Change the model” at the foot of the page leads to models to download, and takes a folder of your own; or put one beside this page and add ?model=folder/ to the address.",
    ),
    paragraph(
      "Private by construction",
      "There is no server behind this page. The model runs here, on your processor or graphics card; photos and names stay in this browser until you delete them, or clear what it keeps for this page. The browser refuses this page, and the engine in it, every connection to another place; models are downloaded by a page of their own, which has no photos. After the first visit the page works without a connection.",
    ),
    knows,
    h("p", { class: "fine" }, "Free to use and change. ", h("a", { href: "./THIRD_PARTY_NOTICES.txt" }, "Licences, and whose work this page carries")),
    close,
  );
  document.body.append(dialog);
  close.addEventListener("click", () => dialog.close());
  byId("about-open").addEventListener("click", () => dialog.showModal());
}

function trainedOn({ name, knows }: ModelInfo): string {
  if (!knows) return `The loaded model, ${name}, does not say what it was trained on.`;
  return knows === "photos" ? `The loaded model, ${name}, was trained on photographs.` : `The loaded model, ${name}, says of itself: ${knows}`;
}
