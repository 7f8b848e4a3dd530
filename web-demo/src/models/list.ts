// The downloaded models on the main page: use one, delete one.

import { fileSize } from "../amounts.js";
import { h, renew } from "../dom.js";
import { deleteModel, storedModels, type StoredModel } from "./store.js";
import { sureButton } from "./sure.js";

/** What the list asks of the page. */
export interface Owner {
  inUse(model: StoredModel): boolean;
  use(model: StoredModel): void;
  /** Hears of a deletion before it happens. */
  beforeDelete(model: StoredModel): void;
}

/** The list; `refresh` reads what is there. */
export function storedList(owner: Owner): { element: HTMLElement; refresh(): Promise<void> } {
  const items = h("ul", { class: "stored" });
  const empty = h("p", { class: "fine stored-empty" }, "No model was downloaded yet.");
  // What lies outside of a dialog that is open is neither seen nor heard.
  const said = h("p", { class: "fine", role: "status", tabindex: -1 });
  const refresh = async (): Promise<void> => {
    const models = await storedModels();
    empty.hidden = models.length > 0;
    const tell = (words: string): void => {
      said.textContent = words;
      void refresh();
    };
    if (renew(items, ...models.map((model) => item(model, owner, tell)))) said.focus();
  };
  return { element: h("div", {}, empty, items, said), refresh };
}

function item(model: StoredModel, owner: Owner, tell: (words: string) => void): HTMLElement {
  const { plan, ready, bytes, total } = model;
  const name = plan.id.split("/")[1] ?? plan.id;
  const size = ready ? fileSize(total) : `${fileSize(bytes)} of ${fileSize(total)}, not whole yet`;
  const inUse = owner.inUse(model);
  const use = h("button", { type: "button", class: "pill", "aria-label": `Use ${name}` }, "Use");
  use.addEventListener("click", () => owner.use(model));
  const goOn = h("a", { class: "pill", href: "./download.html", "aria-label": `Go on with ${name}` }, "Go on");
  const remove = sureButton("Delete", "Really delete?", name, () => {
    owner.beforeDelete(model);
    void deleteModel(plan).then(
      () => tell(`${name} was deleted`),
      () => tell(`${name} cannot be deleted while another tab downloads it`),
    );
  });
  const about = h("div", { class: "stored-text" }, h("strong", {}, name), h("span", { class: "fine" }, inUse ? `${size}, in use` : size));
  return h("li", {}, about, h("div", { class: "row" }, !ready ? goOn : inUse ? null : use, remove));
}
