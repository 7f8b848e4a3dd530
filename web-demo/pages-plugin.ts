// Build-time half of "nothing leaves": refuses a build in which a page carries code that is not its to have.

import { relative, sep } from "node:path";
import type { Plugin } from "vite";

/** What the download page and its worker may be made of; neither the package (engine, library) nor what handles photos. */
const DOWNLOAD =
  /^(download\.html|styles\/.*|src\/(download|models)\/.*|src\/(amounts|announce|confined|dom|persist|theme)\.ts|.*\/node_modules\/@(noble\/hashes|fontsource-variable)\/.*)$/;
/** What only the download page may have: all that knows the hub. */
const ONLY_DOWNLOAD = /^(download\.html|src\/download\/.*)$/;

/** The part of a bundle that is looked at. */
export interface Chunk {
  readonly type: "chunk";
  readonly isEntry: boolean;
  readonly facadeModuleId: string | null;
  readonly moduleIds: readonly string[];
  readonly imports: readonly string[];
  readonly dynamicImports: readonly string[];
}

/** Modules that a page has and must not have, as sentences. */
export function strays(bundle: Readonly<Record<string, Chunk | { readonly type: "asset" }>>, root: string): string[] {
  const named = (id: string): string => relative(root, id.split("?")[0] ?? id).split(sep).join("/");
  const found: string[] = [];
  for (const [file, chunk] of Object.entries(bundle)) {
    if (chunk.type !== "chunk" || !chunk.isEntry) continue;
    const entry = named(chunk.facadeModuleId ?? file);
    const download = ONLY_DOWNLOAD.test(entry);
    for (const id of modulesOf(bundle, file)) {
      // The bundler's own helpers have no file.
      if (id.startsWith("\0") || id.startsWith("vite/")) continue;
      const name = named(id);
      if (download ? !DOWNLOAD.test(name) : ONLY_DOWNLOAD.test(name)) found.push(`${entry} must not have ${name}`);
    }
  }
  return found;
}

/** The modules of a chunk and of all that it imports, now or later. */
function modulesOf(bundle: Parameters<typeof strays>[0], entry: string): Set<string> {
  const modules = new Set<string>();
  const seen = new Set<string>();
  const visit = (file: string): void => {
    const chunk = bundle[file];
    if (seen.has(file) || chunk?.type !== "chunk") return;
    seen.add(file);
    for (const id of chunk.moduleIds) modules.add(id);
    for (const next of [...chunk.imports, ...chunk.dynamicImports]) visit(next);
  };
  visit(entry);
  return modules;
}

/** Holds pages to it, and with `worker.plugins` their workers too. */
export function pages(): Plugin {
  let root = "";
  return {
    name: "namelens-pages",
    apply: "build",
    configResolved: (config) => {
      root = config.root;
    },
    generateBundle(_options, bundle) {
      const found = strays(bundle as unknown as Parameters<typeof strays>[0], root);
      if (found.length > 0) this.error(`a page has code that is not its to have:\n  ${found.join("\n  ")}`);
    },
  };
}
