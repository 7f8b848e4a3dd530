// The files of a model, wherever it is: a bundle with a manifest, a folder on a server, files that somebody chose.

import { Bundle } from "./bundle.js";
import { knowsOnlyPlayroom, playroomRefused } from "./captioner.js";
import { asError } from "./errors.js";
import { ChosenFolder, collect, type FileRules, type Part, type Repository } from "./folder.js";
import type { Digest, Keeper } from "./keep.js";
import type { ModelChoice, ModelSource, Sources } from "./protocol.js";
import { addressIn, RemoteFolder } from "./remote.js";
import type { LoadProgress } from "./types.js";
import { openVault } from "./vault-open.js";

const MANIFEST = "manifest.json";
/** What a model says of itself. */
const CARD = "model.json";
/** Milliseconds between two words on progress: more of them only keep the page busy. */
const PROGRESS_MS = 50;

/** What the engine offers before it has a model. */
export interface EngineTools extends FileRules {
  digest(): Digest;
}

/** What finding a model's files needs. */
export interface Search {
  readonly keeper: Keeper;
  /** Waits for the engine. */
  readonly tools: () => Promise<EngineTools>;
}

/** A search that keeps what it fetches in the best place there is. */
export async function search(
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  tools: () => Promise<EngineTools>,
): Promise<Search> {
  const digest = (): Promise<Digest> => tools().then((engine) => engine.digest());
  return { tools, keeper: { vault: await openVault(), signal, digest, onProgress: adder(onProgress) } };
}

/** One model, or the half of one that is wanted of it. */
export interface Wanted {
  readonly source: ModelSource;
  readonly choice: ModelChoice;
  readonly part: Part;
}

/** What is wanted where a model, or a model for searching photos and a captioner, are to be loaded; the choice is the captioner's. */
export function wantedOf({ model, captioner }: Sources, choice: ModelChoice): Wanted[] {
  const wanted = (source: ModelSource, part: Part, choice: ModelChoice): Wanted => ({ source, part, choice: chosenIn(source, choice) });
  if (!captioner) return [wanted(model, "whole", choice)];
  return [wanted(model, "retriever", {}), wanted(captioner, "captioner", choice)];
}

/**
 * All files of the model by name, each a `Blob` that lies on disk where it can. Rejects with `config` (manifest),
 * `missing` (a file of the folder), `option` (a choice must be made), `network`, `http`, `quota`, `memory`, `integrity` (a
 * file is not the published one even when fetched afresh) or `cancelled`.
 */
export async function loadModel(
  sources: Sources,
  choice: ModelChoice,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
  tools: () => Promise<EngineTools>,
): Promise<Map<string, Blob>> {
  const searching = await search(onProgress, signal, tools);
  const files = new Map<string, Blob>();
  for (const wanted of wantedOf(sources, choice)) {
    for (const [name, file] of await loadOne(wanted, searching)) files.set(name, file);
  }
  return files;
}

/** The files of one model, or of the part that is wanted of it; an update that cannot be fetched whole leaves what ran before it. */
export async function loadOne({ source, choice, part }: Wanted, searching: Search): Promise<Map<string, Blob>> {
  const repository = await open(source, searching);
  const rules = await searching.tools();
  if (repository instanceof ChosenFolder) return finished(await collect(repository, rules, choice, part), repository, part);
  let files: Map<string, Blob>;
  try {
    files = await collect(repository, rules, choice, part);
    await repository.settle(choice, part);
  } catch (thrown) {
    const kept = isOffline(thrown) ? await repository.before(choice, part, rules) : null;
    if (!kept) throw thrown;
    files = kept;
  }
  return finished(files, repository, part);
}

/** The repository of the model; for a folder on a server with a manifest, that bundle. */
export async function open(source: ModelSource, { keeper, tools }: Search): Promise<Bundle | ChosenFolder | RemoteFolder> {
  if ("chosen" in source) return ChosenFolder.among(source.chosen, source.name, await tools());
  if ("manifest" in source) return Bundle.open(source, keeper);
  const folder = new RemoteFolder(source.folder, keeper);
  const manifest = addressIn(source.folder, MANIFEST);
  const isBundle = await folder.find([MANIFEST]).then(
    (found) => found.has(MANIFEST),
    async (thrown: unknown) => {
      if (!isOffline(thrown)) throw thrown;
      return Bundle.isKnown(manifest, keeper);
    },
  );
  return isBundle ? Bundle.open({ manifest }, keeper) : folder;
}

/** The choice, with the file that the address named. */
function chosenIn(source: ModelSource, choice: ModelChoice): ModelChoice {
  return "folder" in source && source.weights !== undefined ? { weights: source.weights, ...choice } : choice;
}

/** The files with a card, as the engine takes them. Rejects with `option` for a captioner that knows no photographs. */
async function finished(files: Map<string, Blob>, { name }: Repository, part: Part): Promise<Map<string, Blob>> {
  if (part === "retriever") return files;
  if (part === "captioner" && knowsOnlyPlayroom((await files.get(CARD)?.text()) ?? "")) throw playroomRefused(name);
  return withCard(files, name);
}

const isOffline = (thrown: unknown): boolean => asError(thrown).code === "network";

/** A checkpoint of a hub says nothing about itself; the name of its folder stands in. */
function withCard(files: Map<string, Blob>, name: string): Map<string, Blob> {
  if (!files.has(CARD)) files.set(CARD, new Blob([JSON.stringify({ name, knows: "" })]));
  return files;
}

/** Waits for all; when stopped, also until each has kept what had arrived. */
export async function together<T extends readonly unknown[] | []>(
  signal: AbortSignal,
  tasks: T,
): Promise<{ -readonly [P in keyof T]: Awaited<T[P]> }> {
  try {
    return await Promise.all(tasks);
  } catch (thrown) {
    if (signal.aborted) await Promise.allSettled(tasks);
    throw thrown;
  }
}

/** Adds the files of each stage up. */
function adder(report: (progress: LoadProgress) => void): Keeper["onProgress"] {
  const stages = new Map<string, Map<string, { done: number; total: number }>>();
  let last = 0;
  return (stage, file, done, total) => {
    const files = stages.get(stage) ?? new Map<string, { done: number; total: number }>();
    stages.set(stage, files.set(file, { done, total }));
    const now = performance.now();
    if (now - last < PROGRESS_MS && (done !== total || done === 0)) return;
    last = now;
    const sum = (pick: "done" | "total"): number => [...files.values()].reduce((all, one) => all + one[pick], 0);
    report({ stage, done: sum("done"), total: sum("total"), file });
  };
}
