// A folder that was dropped on the page: a model, or photos, however deep they lie.

import type { Picked } from "../album.js";
import { entriesOf, fileOf } from "../entries.js";
import { isPhoto } from "../intake.js";

/** What the files of a model are called. */
const MODEL = /^(config\.json|.*\.(gguf|safetensors))$/;

/** Whether a folder, or one directly below it, has a file that only models have. */
export async function readsAsModel(folder: FileSystemDirectoryEntry, depth = 1): Promise<boolean> {
  const entries = await entriesOf(folder);
  if (entries.some(({ isFile, name }) => isFile && MODEL.test(name))) return true;
  if (depth === 0) return false;
  for (const entry of entries) if (entry.isDirectory && (await readsAsModel(entry as FileSystemDirectoryEntry, depth - 1))) return true;
  return false;
}

/** Photos that were found in folders, and the paths of what could not be read. */
export interface FoundPhotos {
  readonly photos: Picked[];
  readonly unread: string[];
}

/** The photos in folders and in all that are below them. Browsers follow no links, so none can lead in a circle. */
export async function photosIn(folders: readonly FileSystemDirectoryEntry[]): Promise<FoundPhotos> {
  const found: FoundPhotos = { photos: [], unread: [] };
  const waiting = [...folders].reverse();
  for (let folder = waiting.pop(); folder; folder = waiting.pop()) {
    const entries = await entriesOf(folder).catch(() => null);
    if (!entries) found.unread.push(pathOf(folder));
    const below: FileSystemDirectoryEntry[] = [];
    for (const entry of entries ?? []) {
      // Thumbnails, bins and what a Mac keeps beside its files are nobody's photos.
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) below.push(entry as FileSystemDirectoryEntry);
      else await take(entry as FileSystemFileEntry, found);
    }
    waiting.push(...below.reverse());
  }
  return found;
}

async function take(entry: FileSystemFileEntry, { photos, unread }: FoundPhotos): Promise<void> {
  try {
    const file = await fileOf(entry);
    if (isPhoto(file.name, file.type)) photos.push({ blob: file, alt: pathOf(entry) });
  } catch {
    unread.push(pathOf(entry));
  }
}

/** Where it lies, from the dropped folder on. */
const pathOf = (entry: FileSystemEntry): string => entry.fullPath.replace(/^\//, "");
