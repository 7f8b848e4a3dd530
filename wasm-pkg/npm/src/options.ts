// The options of a run as the engine takes them: what is left out stays out, and what has another form is refused by its name.

import { NameLensError } from "./errors.js";
import type { Request, Retrieval, RunOptions } from "./types.js";

type Check = readonly [fits: (value: unknown) => boolean, must: string];

const count: Check = [(value) => Number.isSafeInteger(value) && (value as number) >= 0, "be a whole number, 0 or more"];
const number: Check = [(value) => typeof value === "number", "be a number"];
const flag: Check = [(value) => typeof value === "boolean", "be true or false"];
const text: Check = [(value) => typeof value === "string", "be a text"];
const texts: Check = [areTexts, "be a list of texts"];
const retrieval: Check = [isRetrieval, 'be "auto", "all", "off" or { ids: [...] }'];
const settings: Check = [(value) => typeof value === "object", "be an object, such as { temperature: 0.7 }"];

const REQUEST: Readonly<Record<string, Check>> = {
  question: text,
  concept: text,
  retrieval,
  hints: flag,
  splitting: flag,
  sampling: settings,
  maxTokens: count,
  stop: texts,
  topLogprobs: count,
};
const SAMPLING: Readonly<Record<string, Check>> = {
  temperature: number,
  topK: count,
  topP: number,
  minP: number,
  repetitionPenalty: number,
  seed: count,
};

/** The request with the options of its run. Throws `option` for one that has not the form it must have; its range is the engine's to check. */
export function withOptions(what: Request, options: RunOptions): Request {
  const { signal: _, onEvent: __, onToken: ___, ...how } = options;
  const request = given({ ...what, ...how }, "", REQUEST);
  const { sampling } = request;
  return sampling === undefined ? request : { ...request, sampling: given(sampling, "sampling.", SAMPLING) };
}

/** The entries of `options` that say something, checked. */
function given<T extends object>(options: T, path: string, checks: Readonly<Record<string, Check>>): T {
  const given = said(options);
  for (const [name, value] of Object.entries(given)) {
    const check = checks[name];
    if (check && !check[0](value)) throw new NameLensError("option", `${path}${name}: must ${check[1]}`);
  }
  return given;
}

/** The options that say something: one that is there without a value is left out. */
export function said<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null)) as T;
}

function areTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function isRetrieval(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return value === "auto" || value === "all" || value === "off";
  return areTexts((value as { ids?: unknown } & Retrieval).ids);
}
