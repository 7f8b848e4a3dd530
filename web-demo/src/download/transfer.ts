// The page's side of a download: room is made sure of, a worker is started, and what it reports is passed on.

import { deleteModel, canKeep, freeBytes, storedModel, keyOf, totalOf, type Plan } from "../models/store.js";
import { fileSize } from "../amounts.js";
import { askToKeep } from "../persist.js";
import type { Order, Report } from "./job.js";
import { asProblem, Problem } from "./problems.js";

/** Room that is left over: the browser keeps more than files. */
const MARGIN = 20e6;

/** A download under way. */
export interface Transfer {
  /** Stops it; what has arrived is kept. */
  pause(): void;
  /** Resolves when the model is ready; rejects with a {@link Problem}. */
  readonly done: Promise<void>;
}

/** Refuses a model for which there is no room. Rejects with `space` or `storage`. */
export async function checkRoom(plan: Plan): Promise<void> {
  if (!(await canKeep())) throw new Problem("storage");
  const free = await freeBytes();
  const needed = totalOf(plan) - ((await storedModel(keyOf(plan)))?.bytes ?? 0);
  if (free === null || needed + MARGIN <= free) return;
  throw new Problem("space", `It needs ${fileSize(needed)} more; the browser has ${fileSize(free)} left for this page.`);
}

/** Downloads what is missing of a model; `onProgress` hears how many bytes are here. */
export function transfer(plan: Plan, onProgress: (done: number, checking: boolean) => void): Transfer {
  let worker: Worker | null = null;
  let paused = false;
  const order = (what: Order): void => worker?.postMessage(what);
  const run = async (): Promise<void> => {
    await checkRoom(plan);
    await askToKeep();
    if (paused) throw new Problem("paused");
    worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "download" });
    await new Promise<void>((resolve, reject) => {
      const started = worker as Worker;
      started.onmessage = ({ data }: MessageEvent<Report>) => {
        if (data.type === "progress") onProgress(data.done, data.checking);
        else if (data.type === "ready") resolve();
        else reject(new Problem(data.code, data.detail));
      };
      started.onerror = (event) => {
        event.preventDefault();
        reject(new Problem("offline", event.message || "a script of this page could not be loaded"));
      };
      order({ type: "start", plan });
    });
  };
  const done = run()
    .catch((thrown: unknown) => {
      throw asProblem(thrown);
    })
    .finally(() => worker?.terminate());
  return {
    done,
    pause: () => {
      paused = true;
      order({ type: "pause" });
    },
  };
}

/** Deletes a model, whole or not. Rejects with a {@link Problem}. */
export async function forget(plan: Plan): Promise<void> {
  await deleteModel(plan).catch((thrown: unknown) => {
    if ((thrown as { name?: unknown }).name !== "NotFoundError") throw asProblem(thrown);
  });
}
