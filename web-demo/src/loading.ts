// How loading goes: a bar with words, or what failed and a way to try again.

import { announce } from "./announce.js";
import { byId, h } from "./dom.js";
import type { Session } from "./session.js";
import { wishedDevice } from "./status.js";
import { explain, loadingWords, megabytes } from "./words.js";

/** Shows the loading of the session under the headline. */
export function showLoading(session: Session): void {
  const place = byId("loading");
  const words = h("span", { id: "loading-words" });
  const bar = h("progress", { "aria-labelledby": "loading-words" });
  const stop = h("button", { type: "button", class: "pill" }, "Stop loading");
  stop.addEventListener("click", () => session.stop());
  let stage = "";
  session.listen({
    loading: (progress) => {
      place.hidden = progress === null;
      if (!progress) return;
      if (progress.stage !== stage || !bar.isConnected) {
        stage = progress.stage;
        // Only what takes long and can be gone on with is worth a stop.
        place.replaceChildren(words, bar, ...(stage === "download" ? [h("div", { class: "row" }, stop)] : []));
      }
      const { done, total } = progress;
      const inBytes = ["download", "engine", "verify"].includes(stage);
      const amount = inBytes && done > 0 ? ` · ${megabytes(done)}${total ? ` of ${megabytes(total)}` : ""}` : "";
      words.textContent = loadingWords(stage) + amount;
      if (total > 0) {
        bar.max = total;
        bar.value = done;
      } else {
        bar.removeAttribute("value");
      }
    },
    ready: () => announce("The model is ready"),
    failed: (error) => {
      const { title, hint, detail } = failure(error, session.isBuiltIn);
      const again = h("button", { type: "button", class: "primary" }, "Try again");
      again.addEventListener("click", () => void session.start(wishedDevice()));
      const cpu = h("button", { type: "button", class: "pill" }, "Use the processor instead");
      cpu.addEventListener("click", () => void session.start("cpu"));
      const back = h("button", { type: "button", class: "pill", hidden: session.isBuiltIn }, "Back to the built-in model");
      back.addEventListener("click", () => {
        session.choose(null);
        void session.start(wishedDevice());
      });
      place.hidden = false;
      place.replaceChildren(
        h(
          "div",
          { class: "notice notice-error", role: "alert" },
          h("div", {}, h("strong", {}, title), h("p", {}, hint), h("p", { class: "fine" }, detail), h("div", { class: "row" }, again, cpu, back)),
        ),
      );
    },
  });
}

function failure(error: unknown, builtIn: boolean): { title: string; hint: string; detail: string } {
  const said = explain(error);
  if (builtIn && said.code === "network" && !navigator.onLine) {
    const hint = "There is no connection. Connect once to open this room; from then on it needs none. The other room and your things are not touched.";
    return { title: "The model of this room is not in this browser yet", hint, detail: said.detail };
  }
  if (said.code !== "cancelled") return said;
  return { title: "Loading was stopped", hint: "What has arrived is kept; the next try goes on from there.", detail: "" };
}
