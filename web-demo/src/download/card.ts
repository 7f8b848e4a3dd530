// One model on the download page: what it is and asks of this device, how its download goes, and what can be done with it.

import { announce } from "../announce.js";
import { fileSize, roughly, roughSize } from "../amounts.js";
import { h, renew } from "../dom.js";
import { sureButton } from "../models/sure.js";
import { keyOf, totalOf, type Plan, type StoredModel } from "../models/store.js";
import type { CatalogueEntry } from "./catalogue.js";
import { memoryOf, PROCESSOR_MEMORY, secondsPerCaption, type Figure } from "./device.js";
import { lookUp, pageOf } from "./hub.js";
import { asProblem, Problem } from "./problems.js";
import { Pace } from "./pace.js";
import { checkRoom, forget, transfer } from "./transfer.js";

/** What does not fit into what a page gets on the processor. */
const NEEDS_CARD = "needs a graphics card";

/** What a card is about: an entry of the catalogue, or a model that was looked up or is here. */
export type Subject = { readonly entry: CatalogueEntry } | { readonly plan: Plan };

/** Cards made so far; each has a title to be found by. */
let made = 0;

/** The card of one model. */
export class ModelCard {
  readonly element: HTMLElement;
  readonly id: string;
  readonly #name: string;
  readonly #entry: CatalogueEntry | null;
  readonly #figures = h("dl", { class: "figures" });
  readonly #facts = h("p", { class: "fine model-facts" });
  readonly #state = h("div", { class: "model-state" });
  readonly #actions = h("div", { class: "row model-actions" });
  #plan: Plan | null;
  #bytes: number;
  /** Bytes that are here. */
  #here = 0;
  #stop: (() => void) | null = null;
  /** What is shown of the files, so that the same news is not shown again: it would take away a button that is being pressed. */
  #shown = "";
  /** Why the last try ended; stays on show until the next. */
  #problem: Problem | null = null;

  constructor(
    subject: Subject,
    private readonly device: Figure,
    private readonly onChange: () => void,
  ) {
    const entry = (this.#entry = "entry" in subject ? subject.entry : null);
    this.#plan = "plan" in subject ? subject.plan : null;
    this.id = entry?.id ?? this.#plan?.id ?? "";
    this.#name = entry?.name ?? this.id.split("/")[1] ?? this.id;
    this.#bytes = this.#plan ? totalOf(this.#plan) : (entry?.bytes ?? 0);
    const title = `model-${(made += 1)}`;
    this.element = h(
      "article",
      { class: "card model", "aria-labelledby": title },
      h("h3", { id: title }, this.#name),
      entry && h("p", {}, entry.sentence),
      this.#figures,
      this.#facts,
      this.#state,
      this.#actions,
    );
    this.#tellFacts();
    this.#halted();
  }

  /** Whether its download is under way. */
  get isRunning(): boolean {
    return this.#stop !== null;
  }

  /** Shows what is here of the model; does nothing while a download is under way, or when nothing is new. */
  show(stored: StoredModel | null): void {
    if (this.#stop || this.#news(stored) === this.#shown) return;
    this.#shown = this.#news(stored);
    if (stored) this.#take(stored.plan);
    this.#here = stored?.bytes ?? 0;
    if (stored?.ready) this.#ready();
    else this.#halted();
  }

  #news(stored: Pick<StoredModel, "key" | "bytes" | "ready"> | null): string {
    return `${stored?.key} ${stored?.bytes} ${stored?.ready} ${this.#problem?.code}`;
  }

  #take(plan: Plan): void {
    this.#plan = plan;
    this.#bytes = totalOf(plan);
    this.#tellFacts();
  }

  /** What it asks of this device, and where it comes from; once it was looked up, to the byte and the commit. */
  #tellFacts(): void {
    const [plan, entry] = [this.#plan, this.#entry];
    const memory = memoryOf(this.#bytes);
    const fits = this.device.what === "graphics card" || memory <= PROCESSOR_MEMORY;
    const seconds = entry && fits ? `${roughly(secondsPerCaption(entry, this.device))} (estimate)` : fits ? null : NEEDS_CARD;
    const rows: [term: string, value: string | null][] = [
      ["Download", fileSize(this.#bytes)],
      ["Memory", roughSize(memory)],
      ["One caption", seconds],
      ["Parameters", entry && parameters(entry.parameters)],
      ["Licence", entry?.licence ?? plan?.licence ?? "not stated"],
    ];
    const shown = rows.filter(([, value]) => value !== null);
    this.#figures.replaceChildren(...shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))));
    const text = plan ? `${this.id} at ${plan.commit.slice(0, 7)}` : this.id;
    const link = h("a", { href: pageOf(this.id, plan?.commit), target: "_blank", rel: "noreferrer" }, text);
    this.#facts.replaceChildren(link, plan ? `: ${plan.files.length} files, ${fileSize(this.#bytes)}` : "");
  }

  #ready(): void {
    const key = this.#plan ? keyOf(this.#plan) : this.id;
    this.#shown = this.#news({ key, bytes: this.#bytes, ready: true });
    const use = h("a", { class: "primary", href: `./#model=${encodeURIComponent(key)}`, "aria-label": `Use it: ${this.#name}` }, "Use it");
    this.#set([h("p", { class: "model-ready" }, `Here: ${fileSize(this.#bytes)}, every file checked.`)], [use, this.#deleteButton()]);
  }

  /** Not whole, and nothing under way: not begun, paused, or failed. */
  #halted(): void {
    const some = this.#here > 0;
    const words = `${fileSize(this.#here)} of ${fileSize(this.#bytes)} are here`;
    const bar = h("progress", { max: this.#bytes, value: this.#here, "aria-label": `${this.#name}: ${words}` });
    const label = this.#problem ? "Try again" : some ? "Go on" : `Download ${fileSize(this.#bytes)}`;
    this.#set(
      [this.#problem ? notice(this.#problem) : null, some ? h("p", {}, words) : null, some ? bar : null],
      [this.#button(label, "primary", () => void this.#run()), some ? this.#deleteButton() : null],
    );
  }

  /** Looks it up where that was not done yet, makes sure of room, downloads. Never rejects. */
  async #run(): Promise<void> {
    const abort = new AbortController();
    const words = h("p", {}, "Asking the hub …");
    const bar = h("progress", { "aria-label": `Download of ${this.#name}` });
    const pause = this.#button("Pause", "pill", () => this.#stop?.());
    this.#stop = () => abort.abort();
    this.#problem = null;
    this.#shown = "";
    this.#set([words, bar], [pause]);
    try {
      if (!this.#plan) this.#take((await lookUp(this.id, "main", abort.signal)).plan);
      const plan = this.#plan as Plan;
      await checkRoom(plan);
      const pace = new Pace(this.#bytes);
      const running = transfer(plan, (now, checking) => {
        this.#here = now;
        bar.max = this.#bytes;
        bar.value = now;
        words.textContent = checking ? `Reading again what is here · ${fileSize(now)}` : `${fileSize(now)} of ${fileSize(this.#bytes)}${pace.words(now)}`;
        const quarter = pace.quarter(now);
        if (quarter) announce(`${this.#name}: ${quarter} % downloaded`);
      });
      this.#stop = () => running.pause();
      if (abort.signal.aborted) running.pause();
      await running.done;
      this.#stop = null;
      announce(`${this.#name} is here and can be used`);
      this.#ready();
    } catch (thrown) {
      this.#stop = null;
      this.#fail(asProblem(thrown));
    }
    this.onChange();
  }

  #fail(problem: Problem): void {
    // A pause was asked for; it is no fault.
    this.#problem = problem.code === "paused" ? null : problem;
    if (!this.#problem) announce(`${this.#name}: paused`);
    this.#halted();
  }

  #deleteButton(): HTMLElement {
    return sureButton("Delete", `Delete ${fileSize(this.#bytes)}?`, this.#name, () => {
      void forget(this.#plan as Plan).then(
        () => {
          announce(`${this.#name} was deleted`);
          this.#here = 0;
          this.#halted();
          this.onChange();
        },
        (thrown: unknown) => this.#fail(asProblem(thrown)),
      );
    });
  }

  #button(label: string, look: string, act: () => void): HTMLButtonElement {
    const button = h("button", { type: "button", class: look, "aria-label": `${label}: ${this.#name}` }, label);
    button.addEventListener("click", act);
    return button;
  }

  /** Changes what is shown; a focus that was on a button goes to the one of the same name, or else to the first. */
  #set(state: (HTMLElement | null)[], actions: (HTMLElement | null)[]): void {
    this.#state.replaceChildren(...state.filter((part) => part !== null));
    const buttons = actions.filter((part) => part !== null);
    if (renew(this.#actions, ...buttons)) buttons[0]?.focus();
  }
}

/** A problem in the place of the progress. */
export function notice(problem: Problem): HTMLElement {
  const detail = problem.message ? h("p", { class: "fine" }, problem.message) : null;
  const words = h("div", {}, h("strong", {}, problem.title), h("p", {}, problem.hint), detail);
  return h("div", { class: "notice notice-error", role: "alert" }, words);
}

function parameters(count: number): string {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} billion` : `${Math.round(count / 1e6)} million`;
}
