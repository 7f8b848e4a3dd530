// What can go wrong with a download, in plain words, each with what to do next.

export type ProblemCode =
  | "form"
  | "missing"
  | "revision"
  | "gated"
  | "no-model"
  | "offline"
  | "refused"
  | "damaged"
  | "space"
  | "storage"
  | "busy"
  | "paused";

const WORDS: Record<ProblemCode, readonly [title: string, hint: string]> = {
  form: ["This is not the name of a repository", "It has the form owner/name, as in the address of its page on huggingface.co."],
  missing: ["There is no such repository", "Look at its page on huggingface.co: the name may be spelled otherwise, or the repository may be private."],
  revision: ["There is no such revision", "Leave the field empty for the newest one, or copy the commit from the repository's history."],
  gated: [
    "Its owner asks for an agreement first",
    "Sign in on huggingface.co, accept the terms on the model's page and download its files there; then load that folder under “Change the model”. This page never signs in.",
  ],
  "no-model": ["NameLens finds no model in this repository", "It needs config.json, tokenizer.json and .safetensors files, or a .gguf file with its mmproj. A photo encoder has no tokenizer, and needs a retrieval.json that somebody measured."],
  offline: ["The connection broke", "What has arrived is kept. Go on when the connection is back."],
  refused: ["The hub says no for now", "What has arrived is kept. Try again in a few minutes."],
  damaged: ["A file is not the published one", "It was thrown away. Try again; if that does not help, something between here and the hub changes files."],
  space: ["There is not enough space", "Free space on the disk, delete a model below, or take a smaller one."],
  storage: ["This browser keeps no files for this page", "Leave private browsing, allow the page to store data, or use a newer browser."],
  busy: ["It is being downloaded in another tab", "Close that tab, or go on there."],
  paused: ["Paused", "What has arrived is kept."],
};

/** A download that cannot go on. */
export class Problem extends Error {
  constructor(
    readonly code: ProblemCode,
    detail = "",
  ) {
    super(detail);
    this.name = "Problem";
  }

  get title(): string {
    return WORDS[this.code][0];
  }

  get hint(): string {
    return WORDS[this.code][1];
  }
}

/** Anything thrown, as a problem. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const name = (thrown as { name?: unknown } | null)?.name;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  if (name === "QuotaExceededError") return new Problem("space", detail);
  if (name === "NoModificationAllowedError") return new Problem("busy", detail);
  return new Problem("storage", detail);
}
