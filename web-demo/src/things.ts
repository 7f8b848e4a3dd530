// Steps 1 and 2: pick a thing, name it.

import { albumStrip, type AlbumPhoto, type Picked } from "./album.js";
import { byId, h, stepTitle } from "./dom.js";
import { ownPhotoButtons } from "./intake.js";
import { clearNotices, showError } from "./notices.js";
import { announce } from "./announce.js";
import { keepThings } from "./persist.js";
import type { Session } from "./session.js";

const MAX_NAME = 64;

/** Builds the section; returns what to call with a photo of a thing from elsewhere. */
export function startThings(session: Session, album: readonly AlbumPhoto[]): (picked: Picked) => void {
  const place = h("div", { class: "naming-place" });
  const pick = (picked: Picked): void => {
    clearNotices();
    place.replaceChildren(namingCard(session, picked, () => place.replaceChildren(hint())));
    place.querySelector("input")?.focus();
  };
  const references = album.filter(({ role }) => role === "reference");
  place.append(hint());
  byId("things").replaceChildren(
    stepTitle(1, "things-title", "Pick a thing"),
    albumStrip(references, "Things in the album", "Name this thing", pick, showError, () => place.replaceChildren(hint())),
    ownPhotoButtons("a thing to name", pick),
    stepTitle(2, "naming-title", "Name it"),
    place,
  );
  return pick;
}

function hint(): HTMLElement {
  return h("p", { class: "fine" }, "One photo is enough. Take any name you like, in any script.");
}

/** The label one writes on: a tag with the thing's picture, its name, and more for those who want it. */
function namingCard(session: Session, { blob, album }: Picked, done: () => void): HTMLElement {
  const address = URL.createObjectURL(blob);
  const picture = h("img", { src: address, alt: "The thing to name", class: "lens" });
  const name = h("input", {
    type: "text",
    id: "new-name",
    required: true,
    maxlength: MAX_NAME,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: album?.suggestedName ? `${album.suggestedName}, say` : "its name",
  });
  const category = h("input", { type: "text", id: "new-category", maxlength: 40, autocomplete: "off", value: album?.category });
  const info = h("input", { type: "text", id: "new-info", maxlength: 240, autocomplete: "off", value: album?.info });
  const save = h("button", { type: "submit", class: "primary" }, "Name it");
  const form = h(
    "form",
    { class: "naming", "aria-labelledby": "naming-title" },
    picture,
    h(
      "div",
      { class: "naming-fields" },
      h("label", { for: "new-name" }, "What is it called?"),
      h("div", { class: "row" }, name, save),
      h(
        "details",
        {},
        h("summary", {}, "More about it"),
        h("label", { for: "new-category" }, "Kind of thing"),
        category,
        h("label", { for: "new-info" }, "What one cannot see (“loves jam”)"),
        info,
      ),
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    save.textContent = "Learning…";
    clearNotices();
    try {
      const lens = await session.lens();
      const concept = await lens.concepts.add({
        name: name.value.trim(),
        photo: blob,
        category: category.value.trim(),
        info: info.value.trim(),
      });
      announce(`${concept.name} is named. Now pick a photo.`);
      keepThings();
      URL.revokeObjectURL(address);
      if (!form.isConnected) return; // another thing was picked meanwhile
      done();
      byId("photo").focus({ preventScroll: innerWidth > 960 });
    } catch (error) {
      showError(error);
      save.disabled = false;
      save.textContent = "Name it";
      name.focus();
    }
  });
  return form;
}
