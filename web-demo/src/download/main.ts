// The download page: brings models from the Hugging Face hub into this browser. It has no photo, no names and no engine.

import { fileSize } from "../amounts.js";
import { confineWorkers } from "../confined.js";
import { byId } from "../dom.js";
import { canKeep, freeBytes, keyOf, storedModels, type Plan, type StoredModel } from "../models/store.js";
import { startTheme } from "../theme.js";
import { ModelCard, notice } from "./card.js";
import { CATALOGUE } from "./catalogue.js";
import { figure } from "./device.js";
import { startOther } from "./other.js";
import { Problem } from "./problems.js";

confineWorkers();
startTheme();
const device = await figure();
const changed = (): void => void refresh();
/** By id: those of the catalogue, and those that are here. */
const cards = new Map(CATALOGUE.map((entry) => [entry.id, new ModelCard({ entry }, device, changed)]));
interface Found {
  readonly plan: Plan;
  readonly card: ModelCard;
}
/** What was looked up last. */
let found: Found | null = null;
/** What was looked up before, and is still being downloaded. */
const left: Found[] = [];

/** Readings of the list so far: what an older one found is no news once a newer one has begun. */
let readings = 0;

/** Shows on every card what is here of its model, and in all how much that is. */
async function refresh(): Promise<void> {
  const reading = (readings += 1);
  const stored = await storedModels();
  if (reading !== readings) return;
  for (const { plan } of stored) {
    if (cards.has(plan.id) || [found, ...left].some((one) => isOf(one, plan))) continue;
    const card = new ModelCard({ plan }, device, changed);
    cards.set(plan.id, card);
    byId("others").append(card.element);
  }
  for (const card of cards.values()) card.show(best(stored.filter(({ plan }) => plan.id === card.id)));
  for (const one of [found, ...left]) one?.card.show(stored.find(({ plan }) => isOf(one, plan)) ?? null);
  const free = await freeBytes();
  const here = stored.reduce((sum, { bytes }) => sum + bytes, 0);
  byId("room").textContent = `${here > 0 ? `Models here: ${fileSize(here)}. ` : ""}${free === null ? "" : `The browser offers room for ${fileSize(free)} more.`}`;
}

/** Whether a plan is the one that was looked up, file for file. */
function isOf(one: Found | null, plan: Plan): boolean {
  const files = (of: Plan): string => of.files.map(({ path }) => path).join("\n");
  return one !== null && keyOf(one.plan) === keyOf(plan) && files(one.plan) === files(plan);
}

/** The whole one, else the one of which most is here. */
function best(models: StoredModel[]): StoredModel | null {
  return models.find(({ ready }) => ready) ?? models.sort((a, b) => b.bytes - a.bytes)[0] ?? null;
}

byId("device").textContent = device.what;
byId("models").append(...[...cards.values()].map(({ element }) => element));
startOther(
  byId("other"),
  (plan) => {
    found = left.find((one) => isOf(one, plan)) ?? { plan, card: new ModelCard({ plan }, device, changed) };
    if (left.includes(found)) left.splice(left.indexOf(found), 1);
    void refresh();
    return found.card.element;
  },
  () => {
    if (!found?.card.isRunning) return;
    // With its card would go the only way to pause it.
    left.push(found);
    byId("others").append(found.card.element);
    found = null;
  },
);
// A model may have been deleted on the main page meanwhile.
addEventListener("focus", changed);
await refresh();
if (!(await canKeep())) byId("models").before(notice(new Problem("storage")));
document.documentElement.dataset.started = "";
