// Step 3: pick a photo, read its caption, ask about it.

import type { NameLens, Run, RunEvent, RunResult } from "namelens";
import { albumStrip, type AlbumPhoto, type Picked } from "./album.js";
import { announce, SpokenStream } from "./announce.js";
import { renderNamed } from "./caption.js";
import { byId, h, stepTitle } from "./dom.js";
import { ownPhotoButtons } from "./intake.js";
import { clearNotices, showError } from "./notices.js";
import { Questions } from "./questions.js";
import type { Session } from "./session.js";
import { Stage } from "./stage.js";
import { STAGES } from "./words.js";
import { WhyPanel } from "./why.js";

/** Starts a run of any kind on the photo on show. */
export type Start = (lens: NameLens, photo: Blob) => Run<RunResult>;

/** Builds the section. */
export class PhotoSection {
  readonly #session: Session;
  readonly #onResult: (result: RunResult, lens: NameLens) => void;
  readonly #stage = new Stage();
  readonly #why = new WhyPanel();
  readonly #caption = h("p", { class: "caption", id: "caption", dir: "auto" });
  readonly #busy = h("div", { class: "busy", hidden: true });
  readonly #busyWords = h("span", { class: "fine" });
  readonly #progress = h("progress", { max: 1, "aria-label": "Progress" });
  readonly #again = h("button", { type: "button", class: "pill", hidden: true }, "Caption again");
  readonly #questions: Questions;
  #photo: Picked | null = null;
  #run: Run<RunResult> | null = null;
  #turn = 0;
  /** Runs that came to an end; shown as `data-settled` for those who wait for one. */
  #settled = 0;

  /** `onResult` hears of every finished run. */
  constructor(
    session: Session,
    album: readonly AlbumPhoto[],
    onResult: (result: RunResult, lens: NameLens) => void,
  ) {
    this.#session = session;
    this.#onResult = onResult;
    this.#questions = new Questions(session, this.#stage, (start, place) => this.#work(start, place));
    const cancel = h("button", { type: "button", class: "pill" }, "Cancel");
    cancel.addEventListener("click", () => this.#run?.cancel());
    this.#again.addEventListener("click", () => void this.#describe());
    this.#busy.append(this.#progress, this.#busyWords, cancel);
    const scenes = album.filter(({ role }) => role === "scene");
    const pick = (picked: Picked): void => void this.show(picked);
    byId("photo").dataset.settled = "0";
    byId("photo").replaceChildren(
      stepTitle(3, "photo-title", "Pick a photo"),
      albumStrip(scenes, "Photos in the album", "Caption this photo", pick, showError),
      ownPhotoButtons("a photo to caption", pick),
      this.#stage.element,
      h("div", { class: "caption-place" }, this.#caption, this.#busy, this.#again),
      this.#questions.element,
      this.#why.element,
    );
  }

  /** Shows a photo and captions it. */
  async show(picked: Picked): Promise<void> {
    this.#photo = picked;
    this.#stage.show(picked);
    this.#questions.clear();
    this.#why.hide();
    await this.#describe();
  }

  async #describe(): Promise<void> {
    this.#caption.replaceChildren();
    this.#stage.clear();
    const result = await this.#work((lens, photo) => lens.caption(photo), this.#caption);
    this.#again.hidden = false;
    if (result) this.#questions.show();
  }

  /** One run at a time: a new one stops the one before. Resolves to null when it failed or was stopped. */
  async #work(start: Start, place: HTMLElement): Promise<RunResult | null> {
    const photo = this.#photo;
    if (!photo) return null;
    this.#run?.cancel();
    this.#run = null;
    const turn = ++this.#turn;
    const mine = (): boolean => turn === this.#turn;
    clearNotices();
    this.#stage.highlight(null);
    place.classList.remove("stopped");
    this.#setBusy("Waiting for the model");
    try {
      const lens = await this.#session.lens();
      if (!mine()) return null; // something else was asked for while the model loaded
      const run = (this.#run = start(lens, photo.blob));
      const spoken = new SpokenStream();
      for await (const event of run) if (mine()) this.#follow(event, place, spoken);
      const result = await run;
      if (!mine()) return null;
      this.#finish(result, place, spoken);
      this.#onResult(result, lens);
      return result;
    } catch (error) {
      if (!mine()) return null;
      place.classList.add("stopped");
      announce("Stopped");
      showError(error);
      return null;
    } finally {
      if (mine()) {
        this.#setBusy(null);
        this.#settled += 1;
        byId("photo").dataset.settled = String(this.#settled);
      }
    }
  }

  #follow(event: RunEvent, place: HTMLElement, spoken: SpokenStream): void {
    if (event.type === "stage") {
      this.#setBusy(STAGES[event.stage], event.total > 0 ? event.done / event.total : null);
    } else if (event.type === "retrieved") {
      if (place === this.#caption) this.#stage.candidates(event.concepts);
    } else {
      renderNamed(place, event.text, event.mentions, (id) => this.#stage.highlight(id));
      this.#stage.mentions(event.mentions, false);
      spoken.update(event.text);
    }
  }

  #finish(result: RunResult, place: HTMLElement, spoken: SpokenStream): void {
    renderNamed(place, result.text, result.mentions, (id) => this.#stage.highlight(id));
    // The caption says what is in the photo; an answer only adds to that.
    this.#stage.mentions(result.mentions, place === this.#caption);
    this.#why.show(result.retrieved, this.#session.concepts.length);
    spoken.finish(result.text);
  }

  #setBusy(words: string | null, fraction: number | null = null): void {
    if (words === null && this.#busy.contains(document.activeElement)) byId("photo").focus({ preventScroll: true });
    this.#busy.hidden = words === null;
    byId("photo").setAttribute("aria-busy", String(words !== null));
    if (words === null) return;
    this.#busyWords.textContent = words;
    if (fraction === null) this.#progress.removeAttribute("value");
    else this.#progress.value = fraction;
  }
}
