// Serves what the engine's plan of a model's files asks for, wherever the files are; which files those are is the engine's to say.

import { asError, NameLensError } from "./errors.js";
import type { ModelChoice } from "./protocol.js";

/** What the engine wants next. */
export type Step =
  | { readonly step: "find"; readonly names: readonly string[] }
  | { readonly step: "read"; readonly name: string }
  | ({ readonly step: "take" } & Taken);

/** The files that are a model: small ones, which are read whole, and weights. */
export interface Taken {
  readonly texts: readonly string[];
  readonly weights: readonly string[];
  /** What their names in the model begin with: a photo encoder's own folder is a retriever there. */
  readonly below: string;
}

/** The engine's plan of the files of one model. */
export interface FilePlan {
  next(): Step;
  told(name: string, there: boolean): void;
  read(name: string, bytes: Uint8Array): void;
  free(): void;
}

/** What the engine knows about files before there is a model. */
export interface FileRules {
  /** A plan over the paths of all files, or for files that must be asked for one by one. */
  plan(listing: readonly string[] | null, choice: ModelChoice & { readonly part: Part }): FilePlan;
  /** A model's folder among paths: its own name, and each path's name in there or null. */
  modelFolder(paths: readonly string[]): readonly [name: string, names: readonly (string | null)[]];
}

/** A place with the files of a model. */
export interface Repository {
  /** What messages call it. */
  readonly name: string;
  /** The paths of all files; null where nobody can tell. */
  list(): Promise<readonly string[] | null>;
  /** Which of these files it has. */
  find(names: readonly string[]): Promise<ReadonlySet<string>>;
  /** Hears which files will be opened, so that progress knows its end. */
  announce?(names: readonly string[]): void;
  /** A file that is there; in the model it is called `own`, which is its name where nothing else is said. */
  open(name: string, own?: string): Promise<Blob>;
}

/** What of a model is wanted: all of it, or one half where another model gives the other. */
export type Part = "whole" | "captioner" | "retriever";

/** Files that are read by ranges. */
export const isWeights = (name: string): boolean => /\.(safetensors|gguf)$/.test(name);

/** Its authors publish no such file, so the usual advice would lead nowhere. */
const UNMEASURED = /\bretrieval\.json is missing/;
const MEASURE = "How sure this encoder may be of what it recognises has to be measured first, on this machine; the message says how.";

/** The files that are the model, or that part of it. Rejects with `missing`, `option` or `weights`. */
export async function survey(repository: Repository, rules: FileRules, choice: ModelChoice, part: Part = "whole"): Promise<Taken> {
  const plan = rules.plan(await repository.list(), { ...choice, part });
  const ask = <T>(question: () => T): T => {
    try {
      return question();
    } catch (thrown) {
      const { code, message } = asError(thrown);
      throw new NameLensError(code, `${repository.name}: ${message}`, { cause: thrown, ...(UNMEASURED.test(message) ? { hint: MEASURE } : {}) });
    }
  };
  try {
    for (;;) {
      const step = ask(() => plan.next());
      if (step.step === "take") return step;
      if (step.step === "find") {
        const there = await repository.find(step.names);
        for (const name of step.names) plan.told(name, there.has(name));
      } else {
        const bytes = new Uint8Array(await (await repository.open(step.name)).arrayBuffer());
        ask(() => plan.read(step.name, bytes));
      }
    }
  } finally {
    plan.free();
  }
}

/** All files of the model, or of that part of it, by their names in the model. Rejects as {@link survey}, and with what opening a file rejects with. */
export async function collect(repository: Repository, rules: FileRules, choice: ModelChoice, part: Part = "whole"): Promise<Map<string, Blob>> {
  const { texts, weights, below } = await survey(repository, rules, choice, part);
  repository.announce?.([...texts, ...weights]);
  const files = new Map<string, Blob>();
  const take = async (name: string): Promise<unknown> => files.set(below + name, await repository.open(name, below + name));
  await Promise.all(texts.map(take));
  // One after the other: each takes the whole connection, and a broken visit leaves whole files behind it.
  for (const name of weights) await take(name);
  return files;
}

/** Whether a model of these files writes captions: what searches photos has weights in its own folder, as adapters do. */
export const writesCaptions = ({ weights, below }: Taken): boolean =>
  below === "" && weights.some((name) => !/^(retriever|adapters)\//.test(name));

/** Chosen files, by their names in the model's folder. */
export class ChosenFolder implements Repository {
  constructor(
    readonly name: string,
    readonly files: ReadonlyMap<string, Blob>,
  ) {}

  /** The model among files by their paths, in whatever folder it is. Throws `option` where there are several. */
  static among(files: ReadonlyMap<string, Blob>, name: string, rules: FileRules): ChosenFolder {
    const [folder, names] = rules.modelFolder([...files.keys()]);
    const blobs = [...files.values()];
    const inside = new Map<string, Blob>();
    names.forEach((name, index) => {
      const blob = blobs[index];
      if (name !== null && blob) inside.set(name, blob);
    });
    return new ChosenFolder(folder || name, inside);
  }

  async list(): Promise<readonly string[]> {
    return [...this.files.keys()];
  }

  async find(names: readonly string[]): Promise<ReadonlySet<string>> {
    return new Set(names.filter((name) => this.files.has(name)));
  }

  async open(name: string): Promise<Blob> {
    const file = this.files.get(name);
    if (!file) throw new NameLensError("missing", `${this.name}: ${name} is missing`);
    return file;
  }
}
