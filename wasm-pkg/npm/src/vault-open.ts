// The best vault that this browser offers here: the origin's private file system, else memory for this visit only.

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

/** Deletes every kept model file. */
export async function emptyVault(): Promise<void> {
  const vault = await openVault();
  for (const key of await vault.keys()) await vault.delete(key);
}
