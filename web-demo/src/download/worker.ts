// The worker of the download page: fetches the files of one model, one after the other, and keeps them.

import { folderOf, keyOf, PLAN, READY, rootFolder, type Plan } from "../models/store.js";
import { fetchFile } from "./fetch-file.js";
import type { Order, Report } from "./job.js";
import { isKept, keepText, Part, prune } from "./keep.js";
import { asProblem, Problem } from "./problems.js";

/** Milliseconds between two words on progress. */
const PROGRESS_MS = 100;

// The library types know of pages; this is a worker of one.
const scope = self as unknown as { postMessage(report: Report): void; onmessage: ((event: MessageEvent<Order>) => void) | null };
const abort = new AbortController();

scope.onmessage = ({ data }) => {
  if (data.type === "pause") abort.abort();
  else void run(data.plan).then(tell, (thrown: unknown) => tellProblem(asProblem(thrown)));
};

const tell = (report: Report): void => scope.postMessage(report);
const tellProblem = ({ code, message }: Problem): void => tell({ type: "problem", code, detail: message });

/** Everything from the plan to the mark at the end. Two tabs never write the same model. */
function run(plan: Plan): Promise<Report> {
  return navigator.locks.request(`namelens-download-${keyOf(plan)}`, { ifAvailable: true }, async (lock): Promise<Report> => {
    if (!lock) throw new Problem("busy");
    const folder = await (await rootFolder()).getDirectoryHandle(folderOf(plan), { create: true });
    await keepText(folder, PLAN, JSON.stringify(plan));
    await prune(folder, plan.files.map(({ path }) => path));
    let before = 0;
    let last = 0;
    const progress = (done: number, checking: boolean): void => {
      const now = performance.now();
      if (now - last < PROGRESS_MS) return;
      last = now;
      tell({ type: "progress", done: before + done, checking });
    };
    for (const file of plan.files) {
      if (!(await isKept(folder, file))) {
        const part = await Part.open(folder, file, (done) => progress(done, true), abort.signal);
        try {
          await fetchFile(plan, part, () => progress(part.size, false), abort.signal);
          await part.finish();
        } finally {
          part.close();
        }
      }
      before += file.bytes;
    }
    await keepText(folder, READY, "");
    return { type: "ready" };
  });
}
