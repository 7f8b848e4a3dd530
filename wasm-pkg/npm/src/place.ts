// Where the package's own files are: where a bundler put them, in the package as it is served, or where the app says.

import { resolved } from "./address.js";
import { embedded } from "./embedded.js";
import { NameLensError } from "./errors.js";
import { FILES, type ModuleName, type Modules } from "./modules.js";
import type { ModelSource } from "./protocol.js";

/** What to do when the package's files are not where they are looked for. */
export const MISPLACED =
  "Serve the package's folders dist, wasm and model from one place and pass its address: { assets: \"/namelens/\" }. " +
  "In Vite's development server, optimizeDeps: { exclude: [\"namelens\"] } does it as well.";

const MODULES = Object.keys(FILES) as ModuleName[];
/** Vite's development server bundles a package into this folder and leaves its other files behind. */
const VITE_COPIES = /\/node_modules\/\.vite\/.*$/;

/** A model in the package, by name: one that recognises real things, one that captions drawn toys. */
export type EmbeddedModel = keyof typeof embedded;

const NAMES = Object.keys(embedded) as EmbeddedModel[];

/** Whether it is the name of a model in the package. */
export const isEmbedded = (model: unknown): model is EmbeddedModel => NAMES.some((name) => name === model);

/** The addresses of the package's files. */
export interface Place {
  /** The worker's script; null where only the bundler knows it. */
  readonly worker: URL | null;
  /** The engine's modules. */
  readonly wasm: Readonly<Record<ModuleName, URL>>;
  /** The models in the package. */
  readonly models: Readonly<Record<EmbeddedModel, ModelSource>>;
}

/** Finds them. `assets` is the address of a served copy of the package. Throws `option` or `worker`. */
export function place(assets?: URL | string): Place {
  if (assets !== undefined) {
    const folder = resolved(assets, "assets");
    folder.pathname = folder.pathname.replace(/\/?$/, "/");
    return packageAt(folder);
  }
  let wasm: Place["wasm"];
  try {
    // Bundlers follow this very form: the files lie beside their output then, under names of their choice.
    wasm = {
      cpu: new URL("../wasm/namelens_cpu_bg.wasm", import.meta.url),
      "cpu-threads": new URL("../wasm/namelens_cpu_threads_bg.wasm", import.meta.url),
      webgpu: new URL("../wasm/namelens_webgpu_bg.wasm", import.meta.url),
    };
  } catch (cause) {
    const message = "this bundle is not an ES module, so it does not know where it lies (import.meta.url is empty)";
    throw new NameLensError("worker", message, { cause, hint: `Bundle to the format "esm". Or: ${MISPLACED}` });
  }
  const { cpu } = wasm;
  if (VITE_COPIES.test(cpu.pathname)) {
    return packageAt(new URL(cpu.pathname.replace(VITE_COPIES, "/node_modules/namelens/"), cpu));
  }
  // Unbundled, from another origin than the page: the worker needs its address, because it cannot be started by it.
  if (isForeign(cpu) && cpu.pathname.endsWith(`/wasm/${FILES.cpu}`)) return packageAt(new URL("../", cpu));
  return { worker: null, wasm, models: each((name) => embedded[name]()) };
}

/** The addresses of the modules as text, which crosses to a worker. */
export function addresses({ wasm }: Place): Modules {
  return Object.fromEntries(MODULES.map((name) => [name, wasm[name].href])) as Record<ModuleName, string>;
}

/** Whether scripts there are barred from being workers here. */
export function isForeign({ protocol, origin }: URL): boolean {
  return (protocol === "https:" || protocol === "http:") && origin !== globalThis.origin;
}

function packageAt(folder: URL): Place {
  return {
    worker: new URL("dist/worker.js", folder),
    wasm: Object.fromEntries(MODULES.map((name) => [name, new URL(`wasm/${FILES[name]}`, folder)])) as Record<ModuleName, URL>,
    models: each((name) => ({ manifest: new URL(`model/${name}/manifest.json`, folder).href })),
  };
}

function each(source: (name: EmbeddedModel) => ModelSource): Place["models"] {
  return Object.fromEntries(NAMES.map((name) => [name, source(name)])) as Record<EmbeddedModel, ModelSource>;
}
