// The README's code: every block, and every expression in its sentences, is what the types of the package allow.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(dirname(fileURLToPath(import.meta.url)));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

/** What an app around the code would have; a block's own names come before these. */
const AROUND = `
import type * as namelens from "namelens";
declare global {
  const NameLens: typeof namelens.NameLens;
  const lens: namelens.NameLens;
  const run: namelens.Run<namelens.RunResult>;
  const result: namelens.RunResult;
  const tokens: namelens.RunResult["tokens"];
  const info: namelens.Opened;
  const options: namelens.AvailabilityOptions;
  const captioner: string;
  const address: string;
  const photo: Blob;
  const photoOfMiso: Blob;
  const anyPhoto: Blob;
  const another: Blob;
  const front: Blob;
  const side: Blob;
  const whereItIsThere: namelens.Box;
  const first: namelens.Box;
  const second: namelens.Box;
  const input: { readonly files: FileList };
  const config: Blob;
  const weights: Blob;
  const signal: AbortSignal;
  function write(text: string): void;
  function render(text: string, mentions: readonly namelens.Mention[]): void;
  function ask(question: string): void;
}
`;
/** Whose members a sentence may name. */
const NAMED = /^(NameLens|lens|run|result|tokens|info)\./;

let folder;
before(async () => (folder = await mkdtemp(join(tmpdir(), "namelens-readme-"))));
after(() => rm(folder, { recursive: true }));

/** What the compiler says of these modules, a text each; empty when nothing. */
async function complaints(modules) {
  const compilerOptions = {
    target: "ES2022",
    module: "ES2022",
    moduleResolution: "bundler",
    lib: ["ES2023", "DOM", "DOM.Iterable", "DOM.AsyncIterable", "ESNext.Disposable"],
    types: [],
    paths: { namelens: [join(here, "dist/index.d.ts")] },
    strict: true,
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
  };
  const files = ["around.ts", ...modules.map((_, index) => `${index}.ts`)];
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files }));
  await Promise.all([AROUND, ...modules].map((text, index) => writeFile(join(folder, files[index]), `${text}\nexport {};\n`)));
  return new Promise((resolve) => execFile(process.execPath, [tsc, "-p", folder], (error, stdout, stderr) => resolve(error ? stdout + stderr : "")));
}

/** The blocks of a README, and the expressions in its sentences. */
function codeOf(readme) {
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code);
  const sentences = readme.replaceAll(/^```.*?^```/gms, "").matchAll(/`([^`]+)`/g);
  const expressions = [...sentences].map(([, code]) => code).filter((code) => NAMED.test(code));
  return { blocks, expressions };
}

test("the code of the README is what the types allow", async () => {
  const { blocks, expressions } = codeOf(await readFile(join(here, "README.md"), "utf8"));
  assert.ok(blocks.length > 8 && expressions.length > 8, `${blocks.length} blocks, ${expressions.length} expressions`);
  assert.equal(await complaints([...blocks, ...expressions.map((code) => `void (${code});`)]), "");
});

test("code that the types do not allow is found", async () => {
  const wrong = "Of `lens.info.sees`:\n```ts\nawait lens.concepts.import([new File([], \"\")].find(() => true));\n```\n";
  const { blocks, expressions } = codeOf(wrong);
  const said = await complaints([...blocks, ...expressions.map((code) => `void (${code});`)]);
  assert.match(said, /0\.ts.*File \| undefined/);
  assert.match(said, /1\.ts.*'sees'/);
});

test("what is undefined may be given wherever an option may be left out", async () => {
  const given = `
    import type { AddConcept, CreateOptions, EditConcept, RunOptions, Sampling } from "namelens";
    type May<T, Name extends keyof T> = object extends Pick<T, Name> ? ({ [One in Name]: undefined } extends Pick<T, Name> ? never : Name) : never;
    type MustNot<T> = { [Name in keyof T]-?: May<T, Name> }[keyof T];
    declare const names: MustNot<AddConcept> | MustNot<EditConcept> | MustNot<CreateOptions> | MustNot<RunOptions> | MustNot<Sampling>;
    names satisfies never;
  `;
  assert.equal(await complaints([given]), "");
});
