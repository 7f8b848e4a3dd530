// Puts the licences, and the notices of those whose work the page carries, beside the page.

import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const FILE = "THIRD_PARTY_NOTICES.txt";
const source = (): string => readFileSync(new URL(`../${FILE}`, import.meta.url), "utf8");

/** Emits them with the build, and answers with them in development. */
export function notices(): Plugin {
  return {
    name: "namelens-notices",
    configureServer: ({ middlewares }) => {
      middlewares.use(`/${FILE}`, (_request, response) => {
        response.setHeader("content-type", "text/plain; charset=utf-8");
        response.end(source());
      });
    },
    generateBundle() {
      this.emitFile({ type: "asset", fileName: FILE, source: source() });
    },
  };
}
