// The packed package in apps of bundlers: Vite in development and built, webpack, esbuild.

import { cp } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "@playwright/test";
import { site } from "./server.js";
import { app, bin, command, fixture, serving, unpack, write } from "./stage.js";
import { complaints, outcomeOf, outcomeWithThreads, withOptions } from "./told.js";

const caption = { text: fixture.text };
const threaded = { ...caption, threads: 2 };

for (const version of ["5", "7", "8"]) {
  test.describe(`Vite ${version}`, () => {
    let folder: string;
    test.beforeAll(async () => {
      folder = await app(`vite${version}`);
    });

    test("in development, with nothing configured", async ({ page }) => {
      const said = complaints(page);
      // --force: the dependencies are bundled anew, as at a stranger's first start.
      const server = await serving(folder, bin(folder, "vite"), "--host", "127.0.0.1", "--port", "0", "--force");
      try {
        expect(await outcomeOf(page, server.url)).toEqual(caption);
        expect(await outcomeOf(page, withOptions(server.url, { worker: false }))).toEqual(caption);
        // The package was bundled by the development server: this is the case that breaks others.
        const scripts = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
        expect(scripts.filter((name) => name.includes("/.vite/deps/namelens.js"))).not.toEqual([]);
        expect(await outcomeOf(page, `${server.url}inner.html`)).toEqual([caption, caption]);
        // Before the server ends: the page would miss it aloud.
        expect(said).toEqual([]);
      } finally {
        await server.stop();
      }
    });

    test("built, in a folder of a site", async ({ page }) => {
      const said = complaints(page);
      await command(folder, bin(folder, "vite"), "build", "--base", "./", "--outDir", "site/sub", "--logLevel", "warn");
      const server = await site(join(folder, "site"));
      try {
        expect(await outcomeOf(page, `${server.url}sub/`)).toEqual(caption);
        expect(await outcomeOf(page, withOptions(`${server.url}sub/`, { worker: false }))).toEqual(caption);
        // And in a worker of the app.
        await command(folder, bin(folder, "vite"), "build", "--config", "inner.config.js", "--logLevel", "warn");
        expect(await outcomeOf(page, `${server.url}inner/inner.html`)).toEqual([caption, caption]);
        expect(await outcomeWithThreads(page, join(folder, "site"), "sub/")).toEqual(threaded);
      } finally {
        await server.stop();
      }
      expect(said).toEqual([]);
    });
  });
}

test("Vite's development server with its copies elsewhere: the error advises what helps", async ({ page }) => {
  const folder = await app("vite7");
  const develop = (config: string): ReturnType<typeof serving> =>
    serving(folder, bin(folder, "vite"), "--host", "127.0.0.1", "--port", "0", "--force", "--config", config);
  const moved = await develop("moved.config.js");
  const { code, message, hint } = await outcomeOf(page, moved.url);
  await moved.stop();
  expect(code).toBe("worker");
  expect(message).toContain("not where this bundle looks for them");
  expect(hint).toContain('optimizeDeps: { exclude: ["namelens"] }');
  const excluded = await develop("excluded.config.js");
  expect(await outcomeOf(page, excluded.url)).toEqual(caption);
  await excluded.stop();
});

test.describe("webpack 5", () => {
  let folder: string;
  test.beforeAll(async () => {
    folder = await app("webpack");
  });

  const page = (script: string): string =>
    `<!doctype html><title>webpack</title><link rel="icon" href="photos/thing.png" /><body></body><script src="${script}"></script>`;

  test("built with its defaults", async ({ page: tab }) => {
    const said = complaints(tab);
    await command(folder, "node", "build.mjs");
    await cp(join(folder, "public"), join(folder, "dist"), { recursive: true });
    const server = await site(join(folder, "dist"));
    try {
      await write(join(folder, "dist"), "index.html", page("main.js"));
      expect(await outcomeOf(tab, server.url)).toEqual(caption);
      expect(await outcomeOf(tab, withOptions(server.url, { worker: false }))).toEqual(caption);
      await write(join(folder, "dist"), "inner.html", page("inner.js"));
      expect(await outcomeOf(tab, `${server.url}inner.html`)).toEqual([caption, caption]);
      expect(await outcomeWithThreads(tab, join(folder, "dist"))).toEqual(threaded);
    } finally {
      await server.stop();
    }
    expect(said).toEqual([]);
  });

  test("bundled for another origin: the error names it, and assets help", async ({ page: tab }) => {
    const cdn = await site(join(folder, "dist-cdn"), { headers: { "access-control-allow-origin": "*" } });
    const home = join(folder, "home");
    await cp(join(folder, "public"), home, { recursive: true });
    await unpack(join(home, "namelens"));
    const server = await site(home);
    try {
      await command(folder, "node", "build.mjs", cdn.url);
      await write(home, "index.html", page(`${cdn.url}main.js`));
      const { code, message, hint } = await outcomeOf(tab, server.url);
      expect(code).toBe("worker");
      expect(message).toContain("from another origin");
      expect(hint).toMatch(/workerPublicPath.*assets/);
      expect(message + String(hint)).not.toContain("Content-Security-Policy");
      expect(await outcomeOf(tab, withOptions(server.url, { assets: "/namelens/" }))).toEqual(caption);
    } finally {
      await server.stop();
      await cdn.stop();
    }
  });
});

test.describe("esbuild", () => {
  let folder: string;
  test.beforeAll(async () => {
    folder = await app("esbuild");
    await command(folder, "node", "build.mjs");
    await cp(join(folder, "public"), join(folder, "dist"), { recursive: true });
    await unpack(join(folder, "dist/lib/namelens"));
  });

  test("as a page that was opened as a file: the error says so", async ({ page }) => {
    await write(join(folder, "dist"), "index.html", `<!doctype html><title>esbuild</title><body></body><script src="iife.js"></script>`);
    const address = pathToFileURL(join(folder, "dist/index.html")).href;
    const { code, message, hint } = await outcomeOf(page, withOptions(address, { assets: "lib/namelens" }));
    expect(code).toBe("worker");
    expect(hint).toContain("through a server");
    expect(message + String(hint)).not.toContain("Content-Security-Policy");
  });

  for (const format of ["esm", "iife"] as const) {
    const page =
      `<!doctype html><title>esbuild</title><link rel="icon" href="photos/thing.png" /><body></body>` +
      `<script ${format === "esm" ? 'type="module" ' : ""}src="${format}.js"></script>`;

    test(`as ${format}, with the package's folders served`, async ({ page: tab }) => {
      const said = complaints(tab);
      await write(join(folder, "dist"), "index.html", page);
      const server = await site(join(folder, "dist"));
      try {
        expect(await outcomeOf(tab, withOptions(server.url, { assets: "lib/namelens" }))).toEqual(caption);
        expect(await outcomeOf(tab, withOptions(server.url, { assets: "lib/namelens/", worker: false }))).toEqual(caption);
        expect(await outcomeWithThreads(tab, join(folder, "dist"), "", { assets: "lib/namelens/" })).toEqual(threaded);
      } finally {
        await server.stop();
      }
      expect(said).toEqual([]);
    });

    for (const fallback of [false, true]) {
      test(`as ${format}, without them${fallback ? " on a server that answers everything" : ""}: the error says what to do`, async ({ page: tab }) => {
        await write(join(folder, "dist"), "index.html", page);
        const server = await site(join(folder, "dist"), { fallback });
        try {
          for (const options of [{}, { worker: false }]) {
            const { message, hint } = await outcomeOf(tab, withOptions(server.url, options));
            expect(message).toMatch(format === "iife" ? /not an ES module/ : /namelens_cpu_bg\.wasm|model\/playroom\/manifest\.json/);
            expect(hint).toContain("assets");
            expect(message + String(hint)).not.toMatch(/Content-Security-Policy|current version of Chrome/);
          }
        } finally {
          await server.stop();
        }
      });
    }
  }
});
