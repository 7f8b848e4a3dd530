// What lies in a folder that was dropped on the page, as the browser gives it piece by piece.

/** All entries of a folder, in the order of their names. */
export async function entriesOf(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // It gives a hundred at a time, and an empty list at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all.sort((a, b) => byName.compare(a.name, b.name));
    all.push(...some);
  }
}

/** The file of an entry. Rejects where it went away or must not be read. */
export function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/** IMG_2 before IMG_10. */
const byName = new Intl.Collator(undefined, { numeric: true });
