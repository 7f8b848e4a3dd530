// All things as files to take along: one, or several where one would be too large.

import type { Concept, NameLens } from "namelens";
import { h } from "./dom.js";
import { showInfo, showProblem } from "./notices.js";
import { explain } from "./words.js";

/** What became of a library. */
interface Exported {
  readonly files: readonly Blob[];
  /** Things that no file can hold, and what was said of the first. */
  readonly left: readonly Concept[];
  readonly why: string;
}

/** Saves all things, and says what else than one file came of it. Rejects where that fails for another reason than their size. */
export async function saveThings(lens: NameLens): Promise<void> {
  const { files, left, why } = await exported(lens, await lens.concepts.list());
  files.forEach((file, i) => save(file, files.length > 1 ? `namelens-things-${i + 1}.json` : "namelens-things.json"));
  if (files.length > 1) {
    showInfo(`Exported as ${files.length} files`, "Your things are too large for one. If the browser asks, let it save them all; import them one after the other.");
  }
  if (left.length === 0) return;
  const hint = "Its photos are larger than a file may be. It stays here. To take it along, name it anew with fewer or smaller photos.";
  const hints = "The photos of each are larger than a file may be. They stay here. To take them along, name them anew with fewer or smaller photos.";
  showProblem(`Not exported: ${left.map(({ name }) => name).join(", ")}`, left.length === 1 ? hint : hints, why);
}

/** As few files as halving comes to. */
async function exported(lens: NameLens, things: readonly Concept[]): Promise<Exported> {
  try {
    return { files: [await lens.concepts.export(things.map(({ id }) => id))], left: [], why: "" };
  } catch (error) {
    const { code, detail } = explain(error);
    if (code !== "bundle") throw error;
    if (things.length < 2) return { files: [], left: things, why: detail };
    const half = things.length >> 1;
    const [one, other] = [await exported(lens, things.slice(0, half)), await exported(lens, things.slice(half))];
    return { files: [...one.files, ...other.files], left: [...one.left, ...other.left], why: one.why || other.why };
  }
}

function save(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
