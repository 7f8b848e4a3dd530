// Another model: one that was downloaded, or a folder picked or dropped; what was loaded, and the way back to the built-in one.

import type { NameLens } from "namelens";
import { byId, h } from "./dom.js";
import { entriesOf, fileOf } from "./entries.js";
import { storedList } from "./models/list.js";
import { showError } from "./notices.js";
import type { Session } from "./session.js";
import { wishedDevice } from "./status.js";
import { familyName, megabytes, millions } from "./words.js";

/** Adds "Change the model" to the foot of the page. Returns what takes a dropped folder. */
export function startFolder(session: Session): (folder: FileSystemDirectoryEntry) => void {
  const loaded = h("p", { id: "model-loaded", role: "status" }, "The model is being loaded.");
  const input = h("input", {
    type: "file",
    webkitdirectory: true,
    multiple: true,
    class: "hidden-visually",
    "aria-describedby": "model-needs",
  });
  const back = h("button", { type: "button", class: "pill" }, "Back to the built-in model");
  const close = h("button", { type: "button", class: "primary" }, "Close");
  const start = (): void => {
    dialog.close();
    void session.start(wishedDevice());
  };
  const list = storedList({
    inUse: (model) => session.isStored(model),
    use: (model) => {
      session.chooseStored(model);
      start();
    },
    // Its files would be gone when the engine has to read them again.
    beforeDelete: (model) => {
      if (!session.isStored(model)) return;
      session.choose(null);
      start();
    },
  });
  const dialog = h(
    "dialog",
    { class: "about", "aria-labelledby": "model-title" },
    h("h2", { id: "model-title", tabindex: "-1", autofocus: true }, "The model"),
    loaded,
    h("h3", {}, "Downloaded"),
    list.element,
    h("p", {}, h("a", { class: "primary", href: "./download.html" }, "Get a model that writes captions for real photos")),
    h("h3", {}, "From a folder"),
    h(
      "p",
      { id: "model-needs" },
      "Choose or drop the folder of a SmolVLM, Qwen2.5-VL or Qwen3-VL checkpoint: its config.json, tokenizer and .safetensors files, or its two .gguf files. They are read where they lie; nothing is copied or sent.",
    ),
    h("p", { class: "fine" }, "The folder of a DINOv2 recognises things in place of the built-in model, once namelens eval photos has measured it."),
    h(
      "p",
      { class: "fine" },
      "Large models need memory: about the size of their files, and on the processor a page gets 4 GB at most. What does not fit ends with a message, or with a closed tab.",
    ),
    h("div", { class: "row model-choice" }, h("label", { class: "pill" }, input, "Load a model from a folder"), back),
    close,
  );
  document.body.append(dialog);

  const load = (model: Parameters<Session["choose"]>[0]): void => {
    session.choose(model);
    start();
  };
  input.addEventListener("change", () => {
    const files = [...(input.files ?? [])];
    input.value = ""; // the same folder may be chosen again
    if (files.length > 0) load(files);
  });
  back.addEventListener("click", () => load(null));
  close.addEventListener("click", () => dialog.close());
  const open = h("button", { type: "button", class: "quiet", id: "model-open" }, "Change the model");
  open.addEventListener("click", () => {
    void list.refresh();
    dialog.showModal();
  });
  byId("status").append(open);

  session.listen({
    loading: (progress) => {
      if (progress) loaded.textContent = "The model is being loaded.";
    },
    failed: () => (loaded.textContent = "No model is loaded."),
    ready: (lens) => {
      loaded.textContent = describe(lens);
      back.hidden = session.isBuiltIn;
      void list.refresh();
    },
  });
  return (folder) => void readFolder(folder).then(load, showError);
}

function describe({ info: { model, device } }: NameLens): string {
  const where = device === "webgpu" ? "the graphics card" : "the processor";
  if (!model.captions) return `Loaded: ${model.name}, which recognises things and writes no captions, ${megabytes(model.bytes)}, on ${where}.`;
  const size = `${millions(model.parameters)} parameters, ${megabytes(model.bytes)}`;
  return `Loaded: ${model.name}, of the ${familyName(model.family)} family, ${size}, on ${where}.`;
}

/** The files in a dropped folder and in the folders directly below it, by path. */
async function readFolder(folder: FileSystemDirectoryEntry): Promise<Map<string, File>> {
  const files = new Map<string, File>();
  const add = async (directory: FileSystemDirectoryEntry, depth: number): Promise<void> => {
    for (const entry of await entriesOf(directory)) {
      if (entry.isFile) files.set(entry.fullPath, await fileOf(entry as FileSystemFileEntry));
      else if (depth < 2) await add(entry as FileSystemDirectoryEntry, depth + 1);
    }
  };
  await add(folder, 0);
  return files;
}
