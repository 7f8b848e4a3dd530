// The best vault that this browser offers here: the origin's private file system, else memory for this visit only.

import { NameLensError } from "./errors.js";
import { inWorker, PrivateFiles } from "./vault-files.js";
import { MemoryVault } from "./vault-memory.js";
import type { Vault } from "./vault.js";

const MODELS = "namelens-models";

/** Opens the folder of that name in it; left out, that of the models. */
export async function openVault(name: string = MODELS): Promise<Vault> {
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(name, { create: true });
    if (inWorker() || "createWritable" in FileSystemFileHandle.prototype) return new PrivateFiles(folder);
  } catch {
    // Private browsing, an old browser or an insecure page.
  }
  return new MemoryVault();
}

/** Deletes every kept model file, also where only a worker could write them. Rejects with `storage` when one is still there. */
export async function emptyVault(): Promise<void> {
  let folder: FileSystemDirectoryHandle;
  try {
    const root = await navigator.storage.getDirectory();
    folder = await root.getDirectoryHandle(MODELS);
  } catch {
    return; // Nothing was ever kept.
  }
  const left: string[] = [];
  for await (const name of folder.keys()) {
    await folder.removeEntry(name).catch((thrown: unknown) => {
      if ((thrown as { name?: unknown }).name !== "NotFoundError") left.push(name);
    });
  }
  if (left.length === 0) return;
  const hint = "Let loading end and close other tabs with this page, then try again.";
  throw new NameLensError("storage", `files of models are in use and were not deleted: ${left.join(", ")}`, { hint });
}
