// What can run here and what a model would take, found out without fetching any of its weights.

import { chooseDevice } from "./device.js";
import { loadEngine, tools } from "./engine.js";
import { ChosenFolder, survey } from "./folder.js";
import { chosenIn, open, search } from "./model.js";
import type { Calls, Context } from "./protocol.js";
import type { Availability, LoadProgress } from "./types.js";

/** Looks. Rejects as loading the model would, where its files can already be seen to be wrong or missing. */
export async function availability(
  { model, choice, wasm, device: wish }: Calls["availability"]["in"],
  { signal, emit }: Context<LoadProgress>,
): Promise<Availability> {
  const ready = loadEngine(wasm, emit, signal);
  const finding = search(model, choice, emit, signal, () => ready.then(() => tools));
  const [{ device, fallback }, looking] = await Promise.all([chooseDevice(wish), finding, ready]);
  const repository = await open(looking);
  const { texts, weights } = await survey(repository, tools, chosenIn(model, choice));
  const files = await Promise.all(
    [...texts, ...weights].map(async (name) => {
      if (repository instanceof ChosenFolder) return { name, bytes: (await repository.open(name)).size, kept: true };
      return { name, ...(await repository.state(name)) };
    }),
  );
  const sum = (some: readonly { readonly bytes: number | null }[]): number => some.reduce((all, { bytes }) => all + (bytes ?? 0), 0);
  return {
    device,
    fallback,
    deviceMemory: (globalThis.navigator as { deviceMemory?: number } | undefined)?.deviceMemory ?? null,
    freeStorage: await looking.keeper.vault.free(),
    model: {
      name: repository.name,
      bytes: files.some(({ bytes }) => bytes === null) ? null : sum(files),
      keptBytes: sum(files.filter(({ kept }) => kept)),
      kept: files.every(({ kept }) => kept),
      files,
    },
  };
}
