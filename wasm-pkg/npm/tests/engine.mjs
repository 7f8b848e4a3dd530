// The real engine in Node, on the processor: the module itself, and hosts of it as a page would have them in a worker.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { NameLensError } from "../dist/errors.js";
import { host } from "../dist/host.js";
import { Link } from "../dist/link.js";
import { loadEngine } from "../dist/engine.js";
import { FILES } from "../dist/modules.js";

// Node fetches no files; a page's server would.
const fetched = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (url.protocol !== "file:") return fetched(input, init);
  const body = await readFile(url);
  init?.signal?.throwIfAborted();
  return new Response(body);
};
/** The addresses of the modules. */
export const wasm = Object.fromEntries(Object.entries(FILES).map(([name, file]) => [name, new URL(`../wasm/${file}`, import.meta.url).href]));
export const { tools } = await loadEngine(wasm, "cpu", 1, () => undefined, new AbortController().signal);

/** The address of a file or folder of the repository. */
export const at = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

/** The files of a model's folder by their paths, as a picker gives them. */
export async function chosen(folder, without = /goldens|legacy|logits|names\.json/) {
  const entries = await readdir(at(folder), { recursive: true, withFileTypes: true });
  const files = new Map();
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(at(folder).replace(/\/$/, "").length + 1);
    if (!without.test(name)) files.set(name, new Blob([await readFile(path)]));
  }
  return files;
}

/** An open engine over files; end it with `end()`. */
export async function open(files, options = {}) {
  const opening = {
    model: { name: "chosen", chosen: files },
    choice: {},
    wasm,
    device: "cpu",
    threads: 1,
    storage: "memory",
    removed: [],
    adapters: [],
    adapter: null,
    precision: "stored",
    ...options,
  };
  const link = new Link(opening, {
    restarts: true,
    onChanged: () => undefined,
    start: () => {
      const { port1, port2 } = new MessageChannel();
      host(port2);
      port1.start();
      port2.start();
      return { port: port1, onFailure: () => undefined, close: () => port1.close() };
    },
  });
  await link.open();
  return { link, end: () => link.end(new NameLensError("disposed", "the test is over")) };
}
