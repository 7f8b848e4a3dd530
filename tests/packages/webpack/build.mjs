// Bundles with webpack's defaults, once beside the page and once for a server of another origin.

import { join } from "node:path";
import webpack from "webpack";

const [publicPath] = process.argv.slice(2);
const stats = await new Promise((resolve, reject) => {
  const entry = { main: "./main.js", inner: "./inner.js" };
  const output = { path: join(import.meta.dirname, publicPath ? "dist-cdn" : "dist"), ...(publicPath && { publicPath }) };
  webpack({ mode: "production", context: import.meta.dirname, entry, output }, (error, done) =>
    error ? reject(error) : resolve(done),
  );
});
if (stats.hasErrors()) throw new Error(stats.toString("errors-only"));
// Warnings would be what a stranger sees first; the size of a model is not one.
const warnings = stats.toJson().warnings.filter(({ message }) => !/size limit|code splitting/.test(message));
if (warnings.length > 0) throw new Error(JSON.stringify(warnings, null, 2));
