// Copies the models of this repository into the package, checked against their manifests, and writes src/embedded.ts:
// one `new URL(..., import.meta.url)` per file, which is the form that bundlers follow.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const models = join(here, "../../models");
const target = join(here, "model");
const source = join(here, "src/embedded.ts");

/** The models that the package carries, and their folders in `models/`; the first is the one it takes unless told otherwise. */
const FOLDERS = { photos: "photos", playroom: "playroom-q8_0" };

/** Copies the files that the manifest of a model names; throws when one is not what the manifest says. */
function copyBundle([name, folder]) {
  const [bundle, copy] = [join(models, folder), join(target, name)];
  const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
  for (const { name: file, path, bytes, sha256 } of manifest.files) {
    const content = readFileSync(join(bundle, path));
    const digest = createHash("sha256").update(content).digest("hex");
    if (content.byteLength !== bytes || digest !== sha256) {
      throw new Error(`models/${folder}: ${path} (${file}) is not the file that manifest.json describes; export the model again`);
    }
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    copyFileSync(join(bundle, path), join(copy, path));
  }
  copyFileSync(join(bundle, "manifest.json"), join(copy, "manifest.json"));
  return { name, manifest };
}

/** The source of a function that says where the files of one model are. */
function entry({ name, manifest }) {
  const address = (path) => `new URL(${JSON.stringify(`../model/${name}/${path}`)}, import.meta.url).href`;
  const files = manifest.files.map(({ name: file, path }) => `      ${JSON.stringify(file)}: ${address(path)},\n`).join("");
  // A function: a bundle that is no ES module has no import.meta.url, and importing it must not throw.
  return `  /** The bundle "${manifest.name}". */\n  ${name}: () => ({\n    manifest: ${address("manifest.json")},\n    files: {\n${files}    },\n  }),\n`;
}

rmSync(target, { recursive: true, force: true });
const bundles = Object.entries(FOLDERS).map(copyBundle);
const text =
  "// Written by scripts/embed-model.mjs: where the models that this package carries are.\n\n" +
  'import type { ModelSource } from "./protocol.js";\n\n' +
  `export const embedded = {\n${bundles.map(entry).join("")}} satisfies Record<string, () => ModelSource>;\n`;
// An unchanged file keeps its time, so that nothing is built again for it.
if (!existsSync(source) || readFileSync(source, "utf8") !== text) writeFileSync(source, text);
console.log(`models: ${bundles.map(({ manifest }) => `${manifest.name} ${manifest.version}`).join(", ")}`);
