// A folder that was dropped on the page: a model, or photos, however deep they lie.

import type { Picked } from "../album.js";
import { isPhoto } from "../intake.js";

/** Folders below a dropped one that are looked into. */
const DEPTH = 4;
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

/** The photos in a folder and in those below it. */
export async function photosIn(folder: FileSystemDirectoryEntry, depth = DEPTH): Promise<Picked[]> {
  const photos: Picked[] = [];
  for (const entry of await entriesOf(folder)) {
    if (entry.isDirectory && depth > 0) photos.push(...(await photosIn(entry as FileSystemDirectoryEntry, depth - 1)));
    if (!entry.isFile) continue;
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    if (isPhoto(file.name, file.type)) photos.push({ blob: file, alt: file.name });
  }
  return photos;
}

async function entriesOf(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // It gives a hundred at a time, and an empty list at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
