// LoRA adapters of the model: which there are, which one is in use, and further ones from files.

import { NameLensError } from "./errors.js";
import type { Link } from "./link.js";
import type { AdapterState, NewAdapter } from "./protocol.js";

/** The files of an adapter, as PEFT writes them. */
export interface AdapterFiles {
  /** `adapter_config.json`. */
  readonly config: Blob | string;
  /** `adapter_model.safetensors`. */
  readonly weights: Blob;
}

const CONFIG = "adapter_config.json";
const WEIGHTS = "adapter_model.safetensors";

/** The adapters of one {@link NameLens}. A change counts from the next run on. */
export class Adapters {
  readonly #link: Link;
  #state: AdapterState;

  /** @internal */
  constructor(link: Link, state: AdapterState) {
    this.#link = link;
    this.#state = state;
  }

  /** Names of the adapters, those of the model's folder first. */
  get names(): readonly string[] {
    return this.#state.names;
  }

  /** The adapter in use; null for the model alone. */
  get active(): string | null {
    return this.#state.active;
  }

  /**
   * Adds an adapter from its files, or from its folder as a picker or an `<input webkitdirectory>` gives it. It is not in use until
   * {@link use} says so. Rejects with `missing`, `config`, `weights` or `option` (the name is taken).
   */
  async add(name: string, files: AdapterFiles | FileSystemDirectoryHandle | Iterable<File>): Promise<void> {
    const { config, weights } = await filesOf(files);
    const adapter: NewAdapter = { name, config: typeof config === "string" ? config : await textOf(config), weights };
    this.#state = await this.#link.call("addAdapter", adapter);
    this.#link.remember((opening) => ({ ...opening, adapters: [...opening.adapters, adapter] }));
  }

  /** Answers with this adapter from now on, or with none (`null`). Rejects with `option` when there is none of this name. */
  async use(name: string | null): Promise<void> {
    this.#state = await this.#link.call("useAdapter", { name });
    this.#link.remember((opening) => ({ ...opening, adapter: name }));
  }

  /** Lets go of an adapter and its memory; where it was in use, none is afterwards. */
  async remove(name: string): Promise<void> {
    this.#state = await this.#link.call("removeAdapter", { name });
    this.#link.remember((opening) => ({
      ...opening,
      adapters: opening.adapters.filter((adapter) => adapter.name !== name),
      removed: opening.adapters.some((adapter) => adapter.name === name) ? opening.removed : [...opening.removed, name],
      adapter: opening.adapter === name ? null : opening.adapter,
    }));
  }
}

async function filesOf(given: AdapterFiles | FileSystemDirectoryHandle | Iterable<File>): Promise<AdapterFiles> {
  if ("weights" in given) return given;
  let config: Blob | undefined;
  let weights: Blob | undefined;
  if ("kind" in given) {
    for await (const [name, handle] of given.entries()) {
      if (handle.kind !== "file" || (name !== CONFIG && name !== WEIGHTS)) continue;
      const file = await (handle as FileSystemFileHandle).getFile();
      if (name === CONFIG) config = file;
      else weights = file;
    }
  } else {
    for (const file of given) {
      if (file.name === CONFIG) config = file;
      if (file.name === WEIGHTS) weights = file;
    }
  }
  if (!config || !weights) {
    const gone = config ? WEIGHTS : CONFIG;
    throw new NameLensError("missing", `${gone} is missing: an adapter is ${CONFIG} and ${WEIGHTS}`);
  }
  return { config, weights };
}

async function textOf(blob: Blob): Promise<string> {
  return blob.text().catch((cause: unknown) => {
    throw new NameLensError("file", `${CONFIG} cannot be read`, { cause });
  });
}
