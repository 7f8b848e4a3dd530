// What a page may pass as a model, brought into the form in which it crosses to the worker.

import { resolved } from "./address.js";
import { playroomRefused } from "./captioner.js";
import { NameLensError } from "./errors.js";
import { isEmbedded, type EmbeddedModel, type Place } from "./place.js";
import type { ModelSource } from "./protocol.js";

/**
 * A model: `"photos"` or `"playroom"`, which are in the package; the address of a folder or of a bundle's manifest, a folder that somebody picked, its files as an
 * `<input webkitdirectory>` or a drop gives them, or files by their paths.
 */
export type ModelInput = EmbeddedModel | URL | (string & {}) | FileSystemDirectoryHandle | Iterable<File> | ReadonlyMap<string, Blob>;

/** The model that was meant, where `own` are those in the package. Rejects with `option` or `file`. */
export async function modelSource(model: ModelInput, own: Place["models"]): Promise<ModelSource> {
  if (isEmbedded(model)) return own[model];
  if (typeof model === "string" || model instanceof URL) return addressed(model);
  if (isDirectory(model)) return { name: model.name, chosen: await filesOf(model) };
  if (typeof (model as Partial<Iterable<unknown>>)[Symbol.iterator] !== "function") {
    throw new NameLensError("option", "model: not an address, a folder, or files");
  }
  const entries = model instanceof Map ? [...(model as ReadonlyMap<string, Blob>)] : [...(model as Iterable<File>)].map(named);
  if (entries.length === 0) throw new NameLensError("missing", "the chosen folder is empty");
  return { name: "the chosen files", chosen: new Map(entries) };
}

/** The captioner that was meant. Rejects as {@link modelSource}, and with `option` for a model that cannot be one. */
export async function captionerSource(captioner: ModelInput, model: ModelInput, own: Place["models"]): Promise<ModelSource> {
  if (captioner === "playroom") throw playroomRefused("the package's Playroom model");
  if (captioner === "photos") throw new NameLensError("option", "captioner: the model for photos recognises things and writes no captions");
  if (model === "playroom") throw new NameLensError("option", "captioner: the model for the Playroom has one; it goes with the model for photos");
  return modelSource(captioner, own);
}

/** Where an address points: a manifest ends in `.json`, everything else is a folder, also the one of a `config.json` or of weights. */
export function addressed(model: URL | string, base?: string): ModelSource {
  const url = resolved(model, "model", base);
  url.hash = "";
  if (/\/config\.json$/.test(url.pathname)) url.pathname = url.pathname.replace(/[^/]*$/, "");
  if (url.pathname.endsWith(".json")) return { manifest: url.href };
  const weights = /[^/]+\.gguf$/.exec(url.pathname)?.[0];
  url.pathname = weights ? url.pathname.slice(0, -weights.length) : url.pathname.replace(/\/?$/, "/");
  return weights ? { folder: url.href, weights: decodeURIComponent(weights) } : { folder: url.href };
}

function named(file: unknown): [path: string, file: Blob] {
  if (!(file instanceof File)) throw new NameLensError("option", "model: every one of its files must be a File");
  return [file.webkitRelativePath || file.name, file];
}

function isDirectory(model: object): model is FileSystemDirectoryHandle {
  return "kind" in model && model.kind === "directory" && "entries" in model;
}

/** Folders below a model's; the files of an adapter lie deepest. */
const DEPTH = 2;

/** The files in a picked folder and in the folders below it, by path; hidden folders have nothing of a model. */
async function filesOf(directory: FileSystemDirectoryHandle): Promise<Map<string, Blob>> {
  const files = new Map<string, Blob>();
  const add = async (folder: FileSystemDirectoryHandle, prefix: string, depth: number): Promise<void> => {
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "file") files.set(prefix + name, await (handle as FileSystemFileHandle).getFile());
      else if (depth < DEPTH && !name.startsWith(".")) await add(handle as FileSystemDirectoryHandle, `${prefix}${name}/`, depth + 1);
    }
  };
  try {
    await add(directory, "", 0);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new NameLensError("file", `${directory.name}: the folder cannot be read: ${why}`, { cause });
  }
  return files;
}
