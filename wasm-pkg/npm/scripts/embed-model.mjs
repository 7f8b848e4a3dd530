// Copies the model of this repository into the package, checked against its manifest, and writes src/embedded.ts:
// one `new URL(..., import.meta.url)` per file, which is the form that bundlers follow.

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const models = join(here, "../../models");
const target = join(here, "model");
const source = join(here, "src/embedded.ts");

/** The folder of the one bundle in `models/`, or null when there is none yet. */
function findBundle() {
  if (!existsSync(models)) return null;
  const folders = [models, ...readdirSync(models, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(models, entry.name))];
  const bundles = folders.filter((folder) => existsSync(join(folder, "manifest.json")));
  if (bundles.length > 1) {
    const names = bundles.map((folder) => relative(models, folder) || ".").join(", ");
    throw new Error(`models/ holds several bundles (${names}); the package carries one: keep one manifest.json`);
  }
  return bundles[0] ?? null;
}

/** Copies the files that the manifest names; throws when one is not what the manifest says. */
function copyBundle(bundle) {
  const manifest = JSON.parse(readFileSync(join(bundle, "manifest.json"), "utf8"));
  for (const { name, path, bytes, sha256 } of manifest.files) {
    const content = readFileSync(join(bundle, path));
    const digest = createHash("sha256").update(content).digest("hex");
    if (content.byteLength !== bytes || digest !== sha256) {
      throw new Error(`models: ${path} (${name}) is not the file that manifest.json describes; export the model again`);
    }
    mkdirSync(dirname(join(target, path)), { recursive: true });
    copyFileSync(join(bundle, path), join(target, path));
  }
  copyFileSync(join(bundle, "manifest.json"), join(target, "manifest.json"));
  return manifest;
}

/** The TypeScript module that says where the copied files are. */
function moduleText(manifest) {
  const head = '// Written by scripts/embed-model.mjs: where the model that this package carries is.\n\n' +
    'import type { ModelSource } from "./protocol.js";\n\n';
  // A function: a bundle that is no ES module has no import.meta.url, and importing it must not throw.
  const signature = "export const embedded: (() => ModelSource) | null =";
  if (!manifest) return `${head}/** This build carries none. */\n${signature} null;\n`;
  const address = (path) => `new URL(${JSON.stringify(`../model/${path}`)}, import.meta.url).href`;
  const files = manifest.files.map(({ name, path }) => `    ${JSON.stringify(name)}: ${address(path)},\n`).join("");
  return `${head}/** The bundle "${manifest.name}". */\n${signature} () => ({\n` +
    `  manifest: ${address("manifest.json")},\n  files: {\n${files}  },\n});\n`;
}

rmSync(target, { recursive: true, force: true });
const bundle = findBundle();
if (bundle) mkdirSync(target, { recursive: true });
const manifest = bundle ? copyBundle(bundle) : null;
const text = moduleText(manifest);
// An unchanged file keeps its time, so that nothing is built again for it.
if (!existsSync(source) || readFileSync(source, "utf8") !== text) writeFileSync(source, text);
console.log(manifest ? `model: ${manifest.name} ${manifest.version}` : "model: none in models/ yet; pages must pass { model }");
