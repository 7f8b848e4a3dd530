// Naming a thing by one photo: where it is, what it looks like, whether the photo will do, what it is called.

import type { Box, Enrolment, EnrolmentWarning, Word } from "namelens";
import type { Picked } from "../album.js";
import { announce } from "../announce.js";
import { byId, h } from "../dom.js";
import { clearNotices, showError } from "../notices.js";
import { keepThings } from "../persist.js";
import type { Session } from "../session.js";
import { explain, warningWords } from "../words.js";
import { BoxEditor, keysHint } from "./box-editor.js";

/** Words that are offered. */
const MOST_WORDS = 3;
/** From this share on the likeliest word is taken unless the visitor says otherwise. */
const TAKEN = 0.3;

/** The photo with its box, and the label one writes on. */
export class EnrolPanel {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #onNamed: () => void;
  readonly #editor = new BoxEditor((box) => void this.#look(box));
  readonly #busy = h("p", { class: "fine enrol-busy", role: "status" });
  readonly #words = h("div", { class: "chips" });
  readonly #warnings = h("div", { class: "warnings", role: "status" });
  readonly #name = h("input", { type: "text", id: "thing-name", required: true, maxlength: 64, autocomplete: "off", spellcheck: "false" });
  readonly #kind = h("input", { type: "text", id: "thing-kind", maxlength: 40, autocomplete: "off", placeholder: "dog, mug, bicycle" });
  readonly #save = h("button", { type: "submit", class: "primary" }, "Name it");
  readonly #form: HTMLFormElement;
  #picked: Picked | null = null;
  #abort = new AbortController();
  /** Whether the kind of thing is the visitor's own word; ours then stay away from it. */
  #ownKind = false;
  #keeping = false;
  /** The box of a look that had no engine to look with; null when there is none to be made up for. */
  #missed: { box: Box | undefined } | null = null;

  /** `onNamed` is called when a thing got its name. */
  constructor(session: Session, onNamed: () => void) {
    this.#session = session;
    this.#onNamed = onNamed;
    const leave = h("button", { type: "button", class: "quiet" }, "Cancel");
    this.#form = h(
      "form",
      { class: "enrol-form", hidden: true, "aria-label": "Name this thing" },
      keysHint(),
      h("div", { class: "seen" }, this.#busy, this.#words, this.#warnings),
      h(
        "div",
        { class: "enrol-fields" },
        h("div", {}, h("label", { for: "thing-name" }, "What is it called?"), this.#name),
        h("div", {}, h("label", { for: "thing-kind" }, "What kind of thing is it?"), this.#kind),
      ),
      h("div", { class: "row" }, this.#save, leave),
    );
    leave.addEventListener("click", () => {
      this.close();
      byId("show").focus({ preventScroll: true }); // the button is gone
    });
    session.listen({ ready: () => this.#missed && void this.#look(this.#missed.box) });
    this.#kind.addEventListener("input", () => {
      this.#ownKind = true;
      this.#press();
    });
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#keep((lens, picked, photo) =>
        lens.concepts.add({ name: this.#name.value.trim(), category: this.#kind.value.trim(), photo: picked.blob, ...photo }),
      );
    });
    this.element = h("div", { class: "enrol" }, this.#editor.element, this.#form);
  }

  /** Shows a photo of a thing and looks for the thing in it. */
  pick(picked: Picked): void {
    clearNotices();
    this.#reset();
    this.#picked = picked;
    this.#editor.show(picked);
    this.#name.placeholder = picked.album?.suggestedName ? `${picked.album.suggestedName}, say` : "its name";
    this.#form.hidden = false;
    this.#name.focus({ preventScroll: true });
    void this.#look();
  }

  /** Takes everything away. */
  close(): void {
    this.#reset();
    this.#editor.clear();
    this.#form.hidden = true;
  }

  #reset(): void {
    this.#abort.abort();
    this.#picked = null;
    this.#missed = null;
    this.#ownKind = false;
    this.#form.reset();
    this.#words.replaceChildren();
    this.#warnings.replaceChildren();
    this.#setBusy("");
  }

  /** Asks what the photo shows: of the box, or where the thing is. */
  async #look(box?: Box): Promise<void> {
    const picked = this.#picked;
    if (!picked) return;
    this.#abort.abort();
    const { signal } = (this.#abort = new AbortController());
    this.#missed = null;
    this.#setBusy(box ? "Looking at it…" : "Looking for the thing…");
    try {
      const lens = await this.#session.lens();
      const seen = await lens.enrolment(picked.blob, { signal, ...(box ? { box } : {}) });
      if (!signal.aborted) this.#tell(seen, !box);
    } catch (error) {
      if (signal.aborted) return;
      showError(error);
      const { code } = explain(error);
      // Only of a photo that cannot be opened nothing can be made.
      if (code === "image") return this.close();
      // By itself it is looked at again only where that cannot have been what ended the engine.
      if (code === "disposed" || code === "cancelled") this.#missed = { box };
      this.#setBusy("It could not be looked at.");
      const again = h("button", { type: "button", class: "pill" }, "Look at it again");
      again.addEventListener("click", () => void this.#look(box));
      this.#words.replaceChildren(again);
    }
  }

  #tell({ box, words, warnings }: Enrolment, first: boolean): void {
    this.#setBusy(words.length > 0 ? "It looks like:" : "");
    if (first) this.#editor.propose(box);
    this.#offer(words.slice(0, MOST_WORDS));
    this.#warnings.replaceChildren(...warnings.map((warning) => this.#warning(warning)));
    if (first) announce(`A box is proposed. ${words[0] ? `It looks like: ${words[0].word}.` : ""}`);
  }

  #offer(words: readonly Word[]): void {
    const [first] = words;
    if (!this.#ownKind) this.#kind.value = first && first.share >= TAKEN ? first.word : "";
    this.#words.replaceChildren(
      ...words.map(({ word }) => {
        const chip = h("button", { type: "button", class: "pill chip" }, word);
        chip.addEventListener("click", () => {
          this.#kind.value = this.#kind.value === word ? "" : word;
          this.#ownKind = true;
          this.#press();
        });
        return chip;
      }),
    );
    this.#press();
  }

  /** Shows which of the words is the kind of thing. */
  #press(): void {
    for (const chip of this.#words.children) chip.setAttribute("aria-pressed", String(chip.textContent === this.#kind.value));
  }

  #warning(warning: EnrolmentWarning): HTMLElement {
    const item = h("p", { class: "warning" }, warningWords(warning));
    if (warning.code !== "known") return item;
    const add = h("button", { type: "button", class: "pill" }, `Add this photo to ${warning.name}`);
    add.addEventListener("click", () => {
      void this.#keep((lens, picked, { box }) => lens.concepts.update(warning.id, { addPhoto: picked.blob, ...(box ? { box } : {}) }));
    });
    item.append(" ", add);
    return item;
  }

  /** Keeps the thing; what fails changes nothing and leaves the form as it is. */
  async #keep(
    how: (lens: Awaited<ReturnType<Session["lens"]>>, picked: Picked, photo: { box?: Box }) => Promise<{ name: string }>,
  ): Promise<void> {
    const picked = this.#picked;
    if (!picked || this.#keeping) return;
    clearNotices();
    this.#keeping = this.#save.disabled = true;
    const { box } = this.#editor;
    try {
      const { name } = await how(await this.#session.lens(), picked, box ? { box } : {});
      announce(`${name} is named. Now look through your photos.`);
      keepThings();
      // Another thing may have been picked meanwhile; what is typed of that stays.
      if (this.#picked !== picked) return;
      this.close();
      this.#onNamed();
    } catch (error) {
      showError(error);
      if (this.#picked === picked) this.#name.focus();
    } finally {
      this.#keeping = this.#save.disabled = false;
    }
  }

  #setBusy(words: string): void {
    this.#busy.textContent = words;
  }
}
