// What things are called on the page: stages, reasons and errors in plain words.

import { NameLensError, type EnrolmentWarning, type ErrorCode, type Retrieved, type RunEvent } from "namelens";

type Stage = Extract<RunEvent, { type: "stage" }>["stage"];

/** A stage of a run. */
export const STAGES: Record<Stage, string> = {
  decode: "Opening the photo",
  vision: "Looking at the photo",
  retrieve: "Comparing with your things",
  prefill: "Thinking",
  generate: "Writing",
  locate: "Pointing",
};

/** Why a photo shows a thing poorly. */
export function warningWords(warning: EnrolmentWarning): string {
  switch (warning.code) {
    case "flat":
      return "Nothing can be seen here: it is all of one colour.";
    case "dark":
      return "It is dark here. A brighter photo will be recognised better.";
    case "small":
      return `It is small: ${warning.pixels} pixels. A photo from nearer by will be recognised better.`;
    case "known":
      return `This may be ${warning.name}, which has a name already.`;
  }
}

/** Why a concept was put before the model. */
export const REASONS: Record<Retrieved["reason"], string> = {
  named: "You mentioned it",
  similar: "Something here looks like it",
  listed: "You chose it",
  all: "Everything was compared",
};

const LOADING: Record<string, string> = {
  engine: "Fetching the engine",
  download: "Fetching the model",
  verify: "Checking the model",
  model: "Opening the model",
  device: "Waking up the device",
  weights: "Unpacking the model",
  concepts: "Remembering your things",
};

/** A stage of loading; the engine may have stages of its own. */
export function loadingWords(stage: string): string {
  return LOADING[stage] ?? "Getting ready";
}

const TITLES: Partial<Record<ErrorCode, string>> = {
  image: "This photo cannot be opened",
  concept: "That does not work with this name",
  bundle: "This file cannot be imported",
  missing: "A file of the model is missing",
  file: "A file of the model cannot be read",
  network: "The model could not be fetched",
  http: "The model could not be fetched",
  quota: "There is no space for the model",
  integrity: "The download is damaged",
  option: "That cannot be done as asked",
  config: "The model could not be opened",
  weights: "The model could not be opened",
  tokenizer: "The model could not be opened",
  template: "The model could not be opened",
  storage: "Your things could not be saved",
  memory: "The device ran out of memory",
  crashed: "The engine stopped at a fault",
  device: "The graphics card stopped working",
  "no-adapter": "No graphics card can be used here",
  "context-full": "That is too much at once",
  unsupported: "NameLens cannot run here",
  worker: "The engine could not be started",
};

const FAMILIES: Record<string, string> = {
  smolvlm: "SmolVLM",
  idefics3: "Idefics3",
  qwen2_5_vl: "Qwen2.5-VL",
  qwen3_vl: "Qwen3-VL",
};

/** A family of models by the name that a checkpoint gives it. */
export function familyName(family: string): string {
  return FAMILIES[family] ?? family;
}

/** An error as a visitor reads it. */
export function explain(thrown: unknown): { title: string; detail: string; hint: string; code: string } {
  if (thrown instanceof NameLensError) {
    const title = TITLES[thrown.code] ?? "Something went wrong";
    return { title, detail: thrown.message, hint: thrown.hint, code: thrown.code };
  }
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return { title: "Something went wrong", detail, hint: "Reload the page; your things are kept.", code: "internal" };
}

/** Bytes for people. */
export function megabytes(bytes: number): string {
  const value = bytes / 2 ** 20;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} MB`;
}

/** Numbers such as 3,100,000 for people. */
export function millions(count: number): string {
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)} million` : count.toLocaleString("en");
}
