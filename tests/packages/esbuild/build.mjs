// Bundles with esbuild, which does not follow `new URL(..., import.meta.url)`: as a module and as a classic script.

import { build } from "esbuild";

for (const format of ["esm", "iife"]) {
  const { warnings } = await build({ entryPoints: ["main.js"], bundle: true, format, outfile: `dist/${format}.js`, logLevel: "error" });
  // A classic script has no import.meta, and esbuild says so; the package must cope.
  const others = warnings.filter(({ id }) => !(format === "iife" && id === "empty-import-meta"));
  if (others.length > 0) throw new Error(JSON.stringify(others, null, 2));
}
