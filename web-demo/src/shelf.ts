// The shelf of named things: see, edit, delete, carry elsewhere.

import { NameLensError, type Box, type Concept } from "namelens";
import { announce } from "./announce.js";
import { colorOf } from "./colors.js";
import { h, renew } from "./dom.js";
import { saveThings } from "./export.js";
import { sureButton } from "./models/sure.js";
import { clearNotices, showError, showInfo } from "./notices.js";
import { keepThings } from "./persist.js";
import type { Room, Session } from "./session.js";
import { explain } from "./words.js";

/** Pixels of a round picture, for sharp screens. */
const PICTURE = 168;
/** Codes that say that a thing cannot be copied: it is too large for a file, or for the memory that this takes. */
const NO_COPY: readonly string[] = ["bundle", "memory", "crashed"];

/** Builds the section of a room and keeps it in step with the session. */
export function startShelf(session: Session, place: HTMLElement, room: Room): void {
  const list = h("ul", { class: "tags" });
  const empty = h("p", { class: "fine" }, "Nothing has a name yet. What you name stays in this browser only.");
  place.replaceChildren(h("h2", { id: `${place.id}-title` }, "Your things"), empty, list, carryButtons(session));
  const pictures = new Pictures(session);
  const show = (concepts: readonly Concept[]): void => {
    if (session.room !== room) return;
    // A form that is open keeps what was typed into it.
    const open = new Map([...list.children].map((item) => [(item as HTMLElement).dataset.id, item]));
    renew(
      list,
      ...concepts.map((concept) => {
        const item = open.get(concept.id);
        return item?.querySelector("form:not([data-saving])") ? item : tagItem(session, concept, pictures, room);
      }),
    );
    empty.hidden = concepts.length > 0;
    pictures.forgetAllBut(concepts);
  };
  session.listen({ concepts: show });
  show(session.concepts); // they may have been loaded before this was built
}

function tagItem(session: Session, concept: Concept, pictures: Pictures, room: Room): HTMLElement {
  const item = h("li", { class: `tag-item ${colorOf(concept.id)}`, "data-id": concept.id });
  const show = (...children: HTMLElement[]): void => item.replaceChildren(...children);
  const rest = (focus = false): void => {
    const edit = h("button", { type: "button", class: "quiet", "aria-label": `Edit ${concept.name}` }, "Edit");
    const remove = h("button", { type: "button", class: "quiet", "aria-label": `Delete ${concept.name}` }, "Delete");
    edit.addEventListener("click", () => show(editForm(session, concept, room, () => rest(true))));
    remove.addEventListener("click", () => void deleteConcept(session, concept, remove));
    show(
      pictures.of(concept),
      h(
        "div",
        { class: "tag-text" },
        h("span", { class: "tag", dir: "auto" }, concept.name),
        h("span", { class: "fine", dir: "auto" }, about(concept)),
      ),
      h("div", { class: "tag-actions" }, edit, remove),
    );
    if (focus) edit.focus();
  };
  rest();
  return item;
}

function about({ category, info, photos, aliases }: Concept): string {
  const known = [category, info, aliases.length ? `also ${aliases.join(", ")}` : ""].filter(Boolean).join(" · ");
  const views = photos > 1 ? `${photos} photos` : "";
  return [known, views].filter(Boolean).join(" · ");
}

function editForm(session: Session, concept: Concept, room: Room, close: () => void): HTMLElement {
  const id = (field: string): string => `${room}-${field}-${concept.id}`;
  const text = (field: string, value: string, max: number): HTMLInputElement =>
    h("input", { type: "text", id: id(field), value, maxlength: max, autocomplete: "off" });
  const name = text("name", concept.name, 64);
  name.required = true;
  const aliases = text("aliases", concept.aliases.join(", "), 240);
  const category = text("category", concept.category, 40);
  const info = text("info", concept.info, 240);
  const photo = h("input", { type: "file", id: id("photo"), accept: "image/*" });
  const cancel = h("button", { type: "button", class: "quiet" }, "Cancel");
  const field = (input: HTMLInputElement, label: string): HTMLElement =>
    h("div", { class: "field" }, h("label", { for: input.id }, label), input);
  const form = h(
    "form",
    { class: "edit", "aria-label": `Edit ${concept.name}` },
    field(name, "Name"),
    field(aliases, "Other names, with commas"),
    field(category, "Kind of thing"),
    field(info, "What one cannot see"),
    field(photo, "Another photo of it"),
    h("div", { class: "row" }, h("button", { type: "submit", class: "primary" }, "Save"), cancel),
  );
  cancel.addEventListener("click", close);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.saving !== undefined) return; // pressed twice
    clearNotices();
    const file = photo.files?.[0];
    const shelf = form.closest("section");
    form.dataset.saving = ""; // lets the list draw this tag anew when the change is told
    try {
      const lens = await session.lens();
      await lens.concepts.update(concept.id, {
        name: name.value.trim(),
        aliases: aliases.value.split(",").map((alias) => alias.trim()).filter(Boolean),
        category: category.value.trim(),
        info: info.value.trim(),
        ...(file ? { addPhoto: file } : {}),
      });
      await lens.concepts.list(); // answered after the redraw
      announce(`${name.value.trim()} is saved`);
      shelf?.querySelector<HTMLElement>(`[data-id="${CSS.escape(concept.id)}"] button`)?.focus();
    } catch (error) {
      delete form.dataset.saving;
      showError(error);
    }
  });
  queueMicrotask(() => name.focus());
  return form;
}

/** Deletes a thing in a way that can be taken back; where it cannot, the visitor is asked first. */
async function deleteConcept(session: Session, concept: Concept, button: HTMLButtonElement): Promise<void> {
  clearNotices();
  const shelf = button.closest("section");
  try {
    const { concepts } = await session.lens();
    // Kept for a moment, so that a slip of the finger can be taken back.
    const backup = await concepts.export([concept.id]).catch((error: unknown) => {
      if (NO_COPY.includes(explain(error).code)) return null;
      throw error;
    });
    if (!backup) return askFirst(session, concept, button);
    await concepts.remove(concept.id);
    announce(`${concept.name} is deleted`);
    const undo = h("button", { type: "button", class: "pill" }, `Bring ${concept.name} back`);
    undo.addEventListener("click", () => void bringBack(session, concept.name, backup, undo));
    shelf?.querySelector(".undo")?.replaceChildren(undo);
    undo.focus();
  } catch (error) {
    showError(error);
  }
}

/** Puts a button that asks in the place of one that would delete for good. */
function askFirst(session: Session, concept: Concept, button: HTMLButtonElement): void {
  const shelf = button.closest("section");
  const remove = async (): Promise<void> => {
    clearNotices();
    try {
      const { concepts } = await session.lens();
      await concepts.remove(concept.id);
      await concepts.list(); // answered after the redraw
      announce(`${concept.name} is deleted`);
      shelf?.querySelector<HTMLElement>("button")?.focus();
    } catch (error) {
      showError(error);
    }
  };
  const sure = sureButton("Delete", "Delete for good?", concept.name, () => void remove());
  button.replaceWith(sure);
  sure.click(); // asks at once
  sure.focus();
  showInfo(`${concept.name} could not be brought back`, "No copy of its photos can be made for that. Press once more to delete it all the same.");
}

/** Takes a deletion back. The button stays until that is done: it holds all that is left of the thing. */
async function bringBack(session: Session, name: string, backup: Blob, undo: HTMLButtonElement): Promise<void> {
  clearNotices();
  const shelf = undo.closest("section");
  undo.disabled = true;
  try {
    // Not the engine that it was deleted from: another one may have taken its place.
    const lens = await session.lens();
    const [concept] = await lens.concepts.import(backup);
    undo.remove();
    await lens.concepts.list(); // answered after the redraw
    announce(`${name} is back`);
    shelf?.querySelector<HTMLElement>(`[data-id="${CSS.escape(concept?.id ?? "")}"] button`)?.focus();
  } catch (error) {
    undo.disabled = false;
    showError(error);
  }
}

function carryButtons(session: Session): HTMLElement {
  const save = h("button", { type: "button", class: "pill" }, "Export");
  save.addEventListener("click", async () => {
    clearNotices();
    try {
      await saveThings(await session.lens());
    } catch (error) {
      showError(error);
    }
  });
  const input = h("input", {
    type: "file",
    multiple: true,
    accept: ".json,application/json,image/*",
    class: "hidden-visually",
    "aria-label": "Import things from a file",
  });
  const folder = h("input", {
    type: "file",
    multiple: true,
    webkitdirectory: true,
    class: "hidden-visually",
    "aria-label": "Import things from a folder",
  });
  for (const chooser of [input, folder]) {
    chooser.addEventListener("change", () => {
      void importFiles(session, [...(chooser.files ?? [])]);
      chooser.value = "";
    });
  }
  const choosers = [h("label", { class: "pill" }, input, "Import"), h("label", { class: "pill" }, folder, "Import a folder")];
  return h("div", {}, h("div", { class: "undo" }), h("div", { class: "own" }, save, ...choosers));
}

/** One JSON file, and with a RAP/RePIC database the photos it names. */
async function importFiles(session: Session, files: File[]): Promise<void> {
  clearNotices();
  try {
    const bundle = await conceptFile(files);
    if (!bundle) throw new NameLensError("bundle", "none of the chosen files is a .json file");
    const photos = new Map(files.filter((file) => file !== bundle).map((file) => [file.webkitRelativePath || file.name, file]));
    const added = await (await session.lens()).concepts.import(bundle, photos);
    showInfo("Imported", added.map(({ name }) => name).join(", ") || "The file holds no things.");
    if (added.length > 0) keepThings();
    if (added.problems.length > 0) showInfo("Not imported", tellSome(added.problems.map(({ message }) => message)));
  } catch (error) {
    showError(error);
  }
}

/** The file that holds things: a database has other .json files beside it. */
async function conceptFile(files: readonly File[]): Promise<File | undefined> {
  const candidates = files.filter(({ name, type }) => name.endsWith(".json") || type === "application/json");
  if (candidates.length < 2) return candidates[0];
  for (const file of candidates) {
    // What cannot be read is not it.
    if (/"(concept_dict|namelens-concepts)"/.test(await file.text().catch(() => ""))) return file;
  }
  return candidates[0];
}

/** The first few, and how many more. */
function tellSome(messages: readonly string[]): string {
  const shown = messages.slice(0, 3).join(" · ");
  return messages.length > 3 ? `${shown} · and ${messages.length - 3} more` : shown;
}

/** The part of a photo that shows the thing; all of it where nobody said which. */
async function cutOut({ photo, box }: { photo: Blob; box: Box | null }): Promise<Blob> {
  if (!box) return photo;
  const picture = await createImageBitmap(photo).catch(() => null);
  if (!picture) return photo;
  const [left, top, right, bottom] = box;
  const [width, height] = [(right - left) * picture.width, (bottom - top) * picture.height];
  // A square round the box: the picture is shown round.
  const side = Math.min(Math.max(width, height), picture.width, picture.height);
  const start = (from: number, length: number, whole: number): number => Math.min(Math.max(from + (length - side) / 2, 0), whole - side);
  const canvas = h("canvas", { width: PICTURE, height: PICTURE });
  const [x, y] = [start(left * picture.width, width, picture.width), start(top * picture.height, height, picture.height)];
  canvas.getContext("2d")?.drawImage(picture, x, y, side, side, 0, 0, PICTURE, PICTURE);
  picture.close();
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(blob ?? photo), "image/png"));
}

/** The round pictures of the things, read once each. */
class Pictures {
  readonly #session: Session;
  readonly #addresses = new Map<string, string>();

  constructor(session: Session) {
    this.#session = session;
  }

  of(concept: Concept): HTMLElement {
    const image = h("img", { class: "lens", alt: "", width: "56", height: "56" });
    const known = this.#addresses.get(concept.id);
    if (known) image.src = known;
    else void this.#load(concept.id, image);
    return image;
  }

  forgetAllBut(concepts: readonly Concept[]): void {
    const ids = new Set(concepts.map(({ id }) => id));
    for (const [id, address] of this.#addresses) {
      if (ids.has(id)) continue;
      URL.revokeObjectURL(address);
      this.#addresses.delete(id);
    }
  }

  async #load(id: string, image: HTMLImageElement): Promise<void> {
    try {
      const [reference] = await (await this.#session.lens()).concepts.references(id);
      if (!reference) return;
      const address = this.#addresses.get(id) ?? URL.createObjectURL(await cutOut(reference));
      this.#addresses.set(id, address);
      image.src = address;
    } catch {
      // The thing was deleted meanwhile; its tag goes too.
    }
  }
}
