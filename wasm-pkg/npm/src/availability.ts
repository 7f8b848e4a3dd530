// What can run here and what a model would take, found out without fetching any of its weights.

import { chooseDevice } from "./device.js";
import { loadEngine } from "./engine.js";
import { ChosenFolder, survey, writesCaptions, type FileRules } from "./folder.js";
import { open, search, wantedOf, type Search, type Wanted } from "./model.js";
import type { Calls, Context } from "./protocol.js";
import type { Availability, LoadProgress } from "./types.js";

/** Looks. Rejects as loading the model would, where its files can already be seen to be wrong or missing. */
export async function availability(
  { choice, wasm, device: wish, threads, ...sources }: Calls["availability"]["in"],
  { signal, emit }: Context<LoadProgress>,
): Promise<Availability> {
  const place = chooseDevice(wish);
  const ready = place.then(({ device }) => loadEngine(wasm, device, threads, emit, signal, false));
  const finding = search(emit, signal, () => ready.then(({ tools }) => tools));
  const [{ device, fallback }, looking, { tools }] = await Promise.all([place, finding, ready]);
  const found = await Promise.all(wantedOf(sources, choice).map((wanted) => filesOf(wanted, looking, tools)));
  const files = found.flatMap(({ files }) => files);
  const sum = (some: readonly { readonly bytes: number | null }[]): number => some.reduce((all, { bytes }) => all + (bytes ?? 0), 0);
  return {
    device,
    fallback,
    deviceMemory: (globalThis.navigator as { deviceMemory?: number } | undefined)?.deviceMemory ?? null,
    freeStorage: await looking.keeper.vault.free(),
    model: {
      name: found.at(-1)?.name ?? "",
      captions: found.some(({ captions }) => captions),
      bytes: files.some(({ bytes }) => bytes === null) ? null : sum(files),
      keptBytes: sum(files.filter(({ kept }) => kept)),
      kept: files.every(({ kept }) => kept),
      files,
    },
  };
}

type FileStates = Availability["model"]["files"];

/** The files of one model, and what of each is here. */
async function filesOf(
  { source, choice, part }: Wanted,
  looking: Search,
  tools: FileRules,
): Promise<{ name: string; captions: boolean; files: FileStates }> {
  const repository = await open(source, looking);
  const taken = await survey(repository, tools, choice, part);
  const files = await Promise.all(
    [...taken.texts, ...taken.weights].map(async (name) => {
      if (repository instanceof ChosenFolder) return { name, bytes: (await repository.open(name)).size, kept: true };
      return { name, ...(await repository.state(name)) };
    }),
  );
  return { name: repository.name, captions: writesCaptions(taken), files };
}
