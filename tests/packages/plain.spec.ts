// The packed package without a bundler: from another origin, under strict policies, in a worker of the app.

import { cp } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { expect, test } from "@playwright/test";
import { site } from "./server.js";
import { fixture, plain, unpack, write } from "./stage.js";
import { complaints, outcomeOf, outcomeWithThreads, withOptions } from "./told.js";

const caption = { text: fixture.text };
const threaded = { ...caption, threads: 2 };
const STRICT = "default-src 'none'; connect-src 'self'; img-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";

let folder: string;
test.beforeAll(async () => {
  folder = await plain("plain");
});

test("a page beside the package", async ({ page }) => {
  const said = complaints(page);
  const server = await site(folder);
  expect(await outcomeOf(page, `${server.url}plain.html`)).toEqual(caption);
  // The package's other model answers with facts.
  const { text } = await outcomeOf(page, withOptions(`${server.url}plain.html`, { model: "photos" }));
  expect(text).toMatch(/, \d+ % sure\.$|^None of your things was found/);
  await server.stop();
  expect(await outcomeWithThreads(page, folder, "plain.html")).toEqual(threaded);
  expect(said).toEqual([]);
});

test.describe("from another origin", () => {
  const CORS = { "access-control-allow-origin": "*" };
  let lib: string;
  let home: string;
  test.beforeAll(async () => {
    lib = join(folder, "../cdn");
    home = join(folder, "../cdn-home");
    await unpack(join(lib, "namelens@0.1.0"));
    await cp(folder, home, { recursive: true, filter: (path) => relative(folder, path).split(sep)[0] !== "namelens" });
  });

  const script = (cdn: string): string => `import { NameLens } from "${cdn}namelens@0.1.0/dist/index.js";
import { tell } from "./story.js";
tell(NameLens);
`;

  test("the worker starts all the same", async ({ page }) => {
    const cdn = await site(lib, { headers: CORS });
    const server = await site(home);
    await write(home, "plain.js", script(cdn.url));
    expect(await outcomeOf(page, `${server.url}plain.html`)).toEqual(caption);
    expect(await outcomeOf(page, withOptions(`${server.url}plain.html`, { worker: false }))).toEqual(caption);
    expect(await outcomeWithThreads(page, home, "plain.html")).toEqual(threaded);
    await Promise.all([cdn.stop(), server.stop()]);
  });

  test("a policy without blob: is named as the reason", async ({ page }) => {
    const cdn = await site(lib, { headers: CORS });
    const policy = `script-src 'self' 'wasm-unsafe-eval' ${cdn.url}; connect-src 'self' ${cdn.url}; worker-src 'self'`;
    const server = await site(home, { headers: { "content-security-policy": policy } });
    await write(home, "plain.js", script(cdn.url));
    const { code, message, hint } = await outcomeOf(page, `${server.url}plain.html`);
    expect(code).toBe("worker");
    expect(message).toContain("worker-src");
    expect(hint).toContain("blob:");
    await Promise.all([cdn.stop(), server.stop()]);
  });

  test("a server that allows no other origin is named as the reason", async ({ page }) => {
    const cdn = await site(lib);
    const server = await site(home);
    await write(home, "plain.js", `import { NameLens } from "./namelens/dist/index.js";\nimport { tell } from "./story.js";\ntell(NameLens);\n`);
    await unpack(join(home, "namelens"));
    const { code, message, hint } = await outcomeOf(page, withOptions(`${server.url}plain.html`, { assets: `${cdn.url}namelens@0.1.0/` }));
    expect(code).toBe("worker");
    expect(message).toContain("another origin");
    expect(hint).toContain("CORS");
    await Promise.all([cdn.stop(), server.stop()]);
  });
});

test.describe("under a policy", () => {
  test("strict, without blob: and data:", async ({ page }) => {
    const said = complaints(page);
    const server = await site(folder, { headers: { "content-security-policy": STRICT } });
    expect(await outcomeOf(page, `${server.url}plain.html`)).toEqual(caption);
    expect(await outcomeOf(page, withOptions(`${server.url}plain.html`, { worker: false }))).toEqual(caption);
    await server.stop();
    expect(said).toEqual([]);
  });

  test("that forbids WebAssembly: the error says which word is missing", async ({ page }) => {
    const policy = STRICT.replace(" 'wasm-unsafe-eval'", "");
    const server = await site(folder, { headers: { "content-security-policy": policy } });
    for (const options of [{}, { worker: false }]) {
      const { code, message, hint } = await outcomeOf(page, withOptions(`${server.url}plain.html`, options));
      expect(code).toBe("unsupported");
      expect(message).toContain("Content-Security-Policy");
      expect(hint).toContain("'wasm-unsafe-eval'");
      expect(hint).not.toContain("Chrome");
    }
    await server.stop();
  });

  test("that forbids workers: the error says which directive, and the page itself still can", async ({ page }) => {
    const policy = STRICT.replace("worker-src 'self'", "worker-src 'none'");
    const server = await site(folder, { headers: { "content-security-policy": policy } });
    const { code, message, hint } = await outcomeOf(page, `${server.url}plain.html`);
    expect(code).toBe("worker");
    expect(message).toMatch(/Content-Security-Policy.*worker-src/);
    expect(hint).toContain("'self'");
    expect(await outcomeOf(page, withOptions(`${server.url}plain.html`, { worker: false }))).toEqual(caption);
    await server.stop();
  });
});

for (const kind of ["file", "blob"] as const) {
  test.describe(`in a worker of the app, made from a ${kind}`, () => {
    test("NameLens is created in a worker of the worker, and right there", async ({ page }) => {
      const server = await site(folder);
      const told = await outcomeOf<Record<string, unknown>>(page, `${server.url}worker.html?${kind},ways`);
      await server.stop();
      expect(told).toMatchObject({ nested: caption, here: caption, model: caption, nowhere: { code: "option" } });
      // A script in a blob has no address from which a relative one could count.
      expect(told.relative).toMatchObject(kind === "blob" ? { code: "option" } : caption);
    });

    test("photos are taken in every form that workers have", async ({ page }) => {
      const server = await site(folder);
      const { gif, ...forms } = await outcomeOf<Record<string, string>>(page, `${server.url}worker.html?${kind},forms`);
      await server.stop();
      const text = fixture.text;
      expect(forms).toEqual({ address: text, bitmap: text, canvas: text, nonsense: "option", closed: "image" });
      expect(gif?.split(" ").length, gif).toBeGreaterThan(1);
    });
  });
}
