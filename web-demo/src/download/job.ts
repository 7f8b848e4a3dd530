// What the download page and its worker say to each other.

import type { Plan } from "../models/store.js";
import type { ProblemCode } from "./problems.js";

/** The page starts a worker with one model, and may stop it: what has arrived is kept. */
export type Order = { readonly type: "start"; readonly plan: Plan } | { readonly type: "pause" };

/** The worker tells how it goes, and last of all how it ended. */
export type Report =
  /** Bytes that are here, of all files; `checking` is set while what an earlier visit left is read again. */
  | { readonly type: "progress"; readonly done: number; readonly checking: boolean }
  | { readonly type: "ready" }
  | { readonly type: "problem"; readonly code: ProblemCode; readonly detail: string };
