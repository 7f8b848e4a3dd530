// Build-time half of working offline: tells the service worker which files make up the page.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Plugin } from "vite";

/** Files that the package keeps itself, verified, in the browser's private file system. */
const KEPT_BY_PACKAGE =
  /(^|\/)model\/|\.(safetensors|gguf)$|\/(manifest|model|config|generation_config|retrieval|tokenizer\w*|preprocessor_config)-[\w-]+\.json$|\/words-[\w-]+\.txt$|\.jinja$/;

/** Replaces `__PRECACHE__` and `__VERSION__` in sw.js by the list of built files and a hash over them. */
export function offline(): Plugin {
  let publicDir = "";
  return {
    name: "namelens-offline",
    apply: "build",
    configResolved: (config) => {
      publicDir = config.publicDir;
    },
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const worker = bundle["sw.js"];
        if (worker?.type !== "chunk") throw new Error("sw.js was not built");
        const hash = createHash("sha256");
        const built = Object.keys(bundle).filter((file) => file !== "sw.js" && !file.endsWith(".map"));
        const files = [...built, ...publicFiles(publicDir)].filter((file) => !KEPT_BY_PACKAGE.test(file)).sort();
        for (const file of files) {
          const item = bundle[file];
          hash.update(file);
          if (!item) hash.update(readFileSync(join(publicDir, file)));
          else hash.update(item.type === "chunk" ? item.code : item.source);
        }
        worker.code = worker.code
          // The minifier chooses the quotes, so they are replaced together with the text.
          .replace(/(["'`])__PRECACHE__\1/, () => JSON.stringify(JSON.stringify(files)))
          .replace("__VERSION__", hash.digest("hex").slice(0, 16));
      },
    },
  };
}

function publicFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
}

/** The development server injects styles and talks over a socket; only the built page keeps the strict policy. */
export function looseCspWhileDeveloping(): Plugin {
  return {
    name: "namelens-dev-csp",
    apply: "serve",
    transformIndexHtml: (html) =>
      html.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace("connect-src 'self'", "connect-src 'self' ws:"),
  };
}
