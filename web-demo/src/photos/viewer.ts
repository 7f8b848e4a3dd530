// A photo of the wall, large: its boxes, what was found, why, and the way to the next one.

import { renderNamed } from "../caption.js";
import { h } from "../dom.js";
import type { Session } from "../session.js";
import { WhyPanel } from "../why.js";
import type { Card } from "./card.js";
import { MarkedPhoto, tied } from "./marks.js";

/** The dialog. */
export class Viewer {
  readonly #session: Session;
  readonly #photo = new MarkedPhoto();
  readonly #title = h("h2", { id: "viewer-title", class: "hidden-visually" });
  readonly #text = h("p", { class: "caption", dir: "auto", role: "status" });
  readonly #credit = h("p", { class: "fine" });
  readonly #why = new WhyPanel();
  readonly #dialog: HTMLDialogElement;
  #cards: readonly Card[] = [];
  #at = 0;

  constructor(session: Session) {
    this.#session = session;
    const step = (by: number, label: string, sign: string): HTMLElement => {
      const button = h("button", { type: "button", class: "pill", "aria-label": label }, sign);
      button.addEventListener("click", () => this.#go(by));
      return button;
    };
    const close = h("button", { type: "button", class: "primary" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    this.#dialog = h(
      "dialog",
      { class: "viewer", "aria-labelledby": "viewer-title" },
      this.#title,
      this.#photo.element,
      this.#text,
      this.#credit,
      this.#why.element,
      h("div", { class: "row viewer-row" }, step(-1, "The photo before", "←"), step(1, "The next photo", "→"), close),
    );
    this.#dialog.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft") this.#go(-1);
      if (event.key === "ArrowRight") this.#go(1);
    });
    this.#dialog.addEventListener("close", () => this.#cards[this.#at]?.focus());
    document.body.append(this.#dialog);
  }

  /** Shows one of `cards`. */
  open(card: Card, cards: readonly Card[]): void {
    this.#cards = cards;
    this.#at = Math.max(cards.indexOf(card), 0);
    this.#show();
    this.#dialog.showModal();
  }

  /** Follows a card: what is shown large is what it says now. */
  changed(card: Card): void {
    if (!this.#dialog.open || card !== this.#cards[this.#at]) return;
    // A captioner writes word by word; the picture stays meanwhile.
    if (card.state === "looking") this.#text.textContent = card.words;
    else this.#show();
  }

  #go(by: number): void {
    this.#at = (this.#at + by + this.#cards.length) % this.#cards.length;
    this.#show();
  }

  #show(): void {
    const card = this.#cards[this.#at];
    if (!card) return;
    const { picked, result, address } = card;
    this.#title.textContent = `${picked.alt}, photo ${this.#at + 1} of ${this.#cards.length}`;
    this.#photo.show(address, picked.alt);
    this.#why.hide();
    const credit = picked.album?.credit ? `Photo: ${picked.album.credit} on Unsplash` : "";
    this.#credit.textContent = picked.album ? credit : picked.alt;
    if (!result) {
      this.#text.textContent = card.words;
      return;
    }
    this.#photo.mark(result);
    renderNamed(this.#text, tied(result.text), result.mentions, () => undefined);
    this.#why.show(result.retrieved, this.#session.concepts.length);
  }
}
