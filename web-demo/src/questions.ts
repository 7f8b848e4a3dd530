// Asking about the photo on show: a question in words, and two quick ones for every named thing.

import type { Concept, RunResult } from "namelens";
import { colorOf } from "./colors.js";
import { h, renew } from "./dom.js";
import type { Start } from "./photo.js";
import type { Session } from "./session.js";
import type { Stage } from "./stage.js";

type Work = (start: Start, place: HTMLElement) => Promise<RunResult | null>;

/** More quick questions than this would be a wall of buttons. */
const MOST_QUICK = 6;

/** The ask box and the answers under it. */
export class Questions {
  /** The element to put into the page. */
  readonly element: HTMLElement;
  readonly #session: Session;
  readonly #stage: Stage;
  readonly #work: Work;
  readonly #quick = h("div", { class: "quick" });
  readonly #answers = h("dl", { class: "answers" });

  constructor(session: Session, stage: Stage, work: Work) {
    this.#session = session;
    this.#stage = stage;
    this.#work = work;
    const input = h("input", {
      type: "text",
      id: "question",
      autocomplete: "off",
      maxlength: 300,
      placeholder: "What is it wearing?",
    });
    const form = h(
      "form",
      { class: "ask" },
      h("label", { for: "question" }, "Ask about this photo"),
      h("div", { class: "row" }, input, h("button", { type: "submit", class: "primary" }, "Ask")),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const question = input.value.trim();
      if (question === "") return input.focus();
      void this.#ask(question, (lens, photo) => lens.ask(photo, question));
    });
    this.element = h("div", { class: "questions", hidden: true }, form, this.#quick, this.#answers);
    session.listen({ concepts: (concepts) => this.#offer(concepts) });
    this.#offer(session.concepts); // they may have been loaded before this was built
  }

  /** Shows the box. */
  show(): void {
    this.element.hidden = false;
  }

  /** Forgets the answers: they were about another photo. */
  clear(): void {
    this.#answers.replaceChildren();
    this.element.hidden = true;
  }

  #offer(concepts: readonly Concept[]): void {
    const recent = [...concepts].sort((a, b) => b.updatedMs - a.updatedMs).slice(0, MOST_QUICK);
    renew(
      this.#quick,
      ...recent.flatMap((concept) => {
        const { id, name } = concept;
        const where = h("button", { type: "button", class: `pill ${colorOf(id)}` }, `Where is ${name}?`);
        const here = h("button", { type: "button", class: `pill ${colorOf(id)}` }, `Is ${name} here?`);
        where.addEventListener("click", () => void this.#locate(concept));
        here.addEventListener("click", () => void this.#recognize(concept));
        return [where, here];
      }),
    );
  }

  /** What a thing is asked for by: its id, unless another thing bears that as a name, since the one that had it was renamed. */
  #handle({ id, name }: Concept): string {
    const bears = (other: Concept): boolean => [other.name, ...other.aliases].some((known) => known.toLowerCase() === id);
    return this.#session.concepts.some((other) => other.id !== id && bears(other)) ? name : id;
  }

  async #locate(concept: Concept): Promise<void> {
    const { id, name } = concept;
    const question = `Where is ${name}?`;
    const asked = await this.#ask(question, (lens, photo) => lens.locate(photo, this.#handle(concept)));
    if (!asked) return;
    const { result, place } = asked;
    if (result.box) {
      this.#stage.located(id, name, result.box);
      place.textContent = `${name} is in the box${percent(result.confidence)}.`;
    } else if (!result.refused) {
      place.textContent = `${name} is not in this photo.`;
    }
  }

  async #recognize(concept: Concept): Promise<void> {
    const asked = await this.#ask(`Is ${concept.name} here?`, (lens, photo) => lens.recognize(photo, this.#handle(concept)));
    if (!asked) return;
    const { answer, confidence, source } = asked.result;
    // What was recognised is said in the text: "Perhaps" is neither yes nor no. And a captioner may have said something else.
    if (source === "captioner" && typeof answer === "boolean") asked.place.textContent = `${answer ? "Yes" : "No"}${percent(confidence)}.`;
  }

  async #ask(question: string, start: Start): Promise<{ result: RunResult; place: HTMLElement } | null> {
    const place = h("dd", { dir: "auto" });
    const entry = h("div", { class: "answer" }, h("dt", { dir: "auto" }, question), place);
    this.#answers.prepend(entry);
    const result = await this.#work(start, place);
    if (!result && place.textContent === "") entry.remove();
    return result ? { result, place } : null;
  }
}

function percent(confidence: number | undefined): string {
  return confidence === undefined ? "" : ` (${Math.round(confidence * 100)} % sure)`;
}
