// What `npm pack` puts into the package: what was built from these sources, the model, the licences, and nothing else.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const read = (path) => readFile(join(here, path), "utf8");

async function packed() {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: here });
  const said = JSON.parse(stdout);
  return (said[0] ?? said.namelens).files.map(({ path }) => path).sort();
}

test("the package holds just what it should", async () => {
  const sources = (await readdir(join(here, "src"))).map((name) => name.replace(/\.ts$/, ""));
  const models = [];
  for (const name of ["photos", "playroom"]) {
    const { files } = JSON.parse(await read(`model/${name}/manifest.json`));
    models.push(`model/${name}/manifest.json`, ...files.map(({ path }) => `model/${name}/${path}`));
  }
  const expected = [
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "THIRD_PARTY_NOTICES.txt",
    "package.json",
    ...sources.flatMap((name) => [".d.ts", ".js", ".js.map"].map((end) => `dist/${name}${end}`)),
    ...models,
    ...["cpu", "cpu_threads", "webgpu"].flatMap((name) => [".d.ts", ".js", "_bg.wasm", "_bg.wasm.d.ts"].map((end) => `wasm/namelens_${name}${end}`)),
  ];
  assert.deepEqual(await packed(), expected.sort());
});

test("the package stays small enough to be fetched in a moment", async () => {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: here });
  const said = JSON.parse(stdout);
  assert.ok((said[0] ?? said.namelens).size < 25e6);
});

test("licences and notices are those of the repository", async () => {
  for (const file of ["LICENSE-MIT", "LICENSE-APACHE", "THIRD_PARTY_NOTICES.txt"]) assert.equal(await read(file), await read(`../../${file}`));
  assert.match(await read("LICENSE-MIT"), /The NameLens authors/);
  assert.match(await read("THIRD_PARTY_NOTICES.txt"), /^- burn-flex \d/m);
});

test("the package asks for nothing else to be installed, and runs nothing when it is", async () => {
  const { dependencies, peerDependencies, scripts } = JSON.parse(await read("package.json"));
  assert.deepEqual([dependencies, peerDependencies], [undefined, undefined]);
  for (const hook of ["preinstall", "install", "postinstall", "prepare"]) assert.equal(scripts[hook], undefined, hook);
});
