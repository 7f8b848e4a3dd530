// Any other repository: its name is typed, the hub is asked what it has, and its card appears.

import { announce } from "../announce.js";
import { fileSize } from "../amounts.js";
import { h } from "../dom.js";
import type { Plan } from "../models/store.js";
import { notice } from "./card.js";
import { lookUp, type Found } from "./hub.js";
import { asProblem, Problem } from "./problems.js";

/** Fills the section. `onFound` gives the card for what was found, `onLeave` hears that it is about to make room for another. */
export function startOther(section: HTMLElement, onFound: (plan: Plan) => HTMLElement, onLeave: () => void): void {
  const id = h("input", { type: "text", id: "other-id", autocomplete: "off", spellcheck: "false", placeholder: "owner/name", required: true });
  const revision = h("input", { type: "text", id: "other-revision", autocomplete: "off", spellcheck: "false", placeholder: "main" });
  const submit = h("button", { type: "submit", class: "primary" }, "Look it up");
  const result = h("div", { class: "other-result" });
  const field = (input: HTMLElement, label: string): HTMLElement => h("div", {}, h("label", { for: input.id }, label), input);
  const form = h(
    "form",
    { class: "other-form" },
    field(id, "Repository on Hugging Face"),
    field(revision, "Branch, tag or commit (optional)"),
    submit,
  );
  section.append(
    h("p", {}, "Any SmolVLM, Idefics3, Qwen2.5-VL or Qwen3-VL checkpoint can be tried, as .safetensors or as .gguf with its mmproj."),
    form,
    result,
  );

  let abort = new AbortController();
  const look = async (wanted?: string): Promise<void> => {
    abort.abort();
    const { signal } = (abort = new AbortController());
    onLeave();
    result.replaceChildren(h("p", { role: "status" }, "Asking the hub …"));
    try {
      // The address of the repository's page is as good as its name.
      const name = id.value.trim().replace(/^https:\/\/huggingface\.co\//, "").split("/").slice(0, 2).join("/");
      const found = await lookUp(name, revision.value.trim(), signal, wanted);
      if (signal.aborted) return;
      result.replaceChildren(variantChoice(found, (name) => void look(name)), onFound(found.plan));
      announce(`${name} was found`);
    } catch (thrown) {
      if (signal.aborted) return;
      const problem = thrown instanceof Problem ? thrown : asProblem(thrown);
      result.replaceChildren(notice(problem));
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault(); // the policy of this page sends no forms anyway
    void look();
  });
}

/** Which of several GGUF files; nothing where there is no choice. */
function variantChoice({ plan, variants, variant }: Found, onChoice: (name: string) => void): HTMLElement | string {
  if (variants.length < 2) return "";
  const options = variants.map(({ name }) => h("option", { value: name, selected: name === variant }, name));
  const select = h("select", { id: "other-variant" }, ...options);
  select.addEventListener("change", () => onChoice(select.value));
  const total = plan.files.reduce((sum, { bytes }) => sum + bytes, 0);
  return h("p", { class: "other-variant" }, h("label", { for: "other-variant" }, "Which file "), select, ` ${fileSize(total)} in all`);
}
