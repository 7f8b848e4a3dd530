// Nothing leaves, by construction: what the page with the photos and the page that downloads may and may not do.

import type { Page } from "@playwright/test";
import { strays, type Chunk } from "../../web-demo/pages-plugin.js";
import { expect, ID, test } from "./downloads.js";

/** The policy of a page as it is served, by directive. */
async function policyOf(page: Page, file: string): Promise<Map<string, string>> {
  const html = await (await page.request.get(file)).text();
  const content = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(html)?.[1] ?? "";
  return new Map(content.split(";").map((part) => [part.trim().split(" ")[0] ?? "", part.trim().split(" ").slice(1).join(" ")]));
}

test("the policies of the two pages", async ({ page }) => {
  const main = await policyOf(page, "./index.html");
  expect(main.get("default-src")).toBe("'none'");
  expect(main.get("connect-src")).toBe("'self'");
  const download = await policyOf(page, "./download.html");
  expect(Object.fromEntries(download)).toEqual({
    "default-src": "'none'",
    "script-src": "'self'", // no 'wasm-unsafe-eval': the engine could not even start
    "worker-src": "'self' blob:",
    "connect-src": "'self' https://huggingface.co https://*.huggingface.co https://*.hf.co",
    "img-src": "'none'",
    "style-src": "'self'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
  });
});

/** In a page or a worker: whether the hub can be reached, in any of the ways there are. */
async function reaches(id: string): Promise<string[]> {
  const hub = `https://huggingface.co/api/models/${id}/tree/main`;
  const cdn = "https://cas-bridge.xethub.hf.co/x";
  const reached: string[] = [];
  const note = async (what: string, attempt: () => Promise<unknown>): Promise<void> => {
    await attempt().then(
      () => reached.push(what),
      () => undefined,
    );
  };
  await note("fetch", () => fetch(hub));
  await note("fetch without cors", () => fetch(hub, { mode: "no-cors" }));
  await note("fetch of the cdn", () => fetch(cdn, { mode: "no-cors" }));
  await note("import", () => import(hub));
  await note("socket", () => new Promise((resolve, reject) => {
    const socket = new WebSocket("wss://huggingface.co/x");
    socket.onopen = resolve;
    socket.onerror = reject;
  }));
  return reached;
}

test("the page with the photos cannot reach the hub, and neither can its engine", async ({ page, demo, hub, downloads, watch }) => {
  watch.allow(/Content Security Policy|CSP: |Failed to fetch|WebSocket|Refused|violates/);
  expect(downloads).toBeTruthy();
  await demo.open();
  expect(await page.evaluate(reaches, ID)).toEqual([]);
  const workers = page.workers();
  // Only so does a worker have the policy of its page; one from an address would have none.
  for (const worker of workers) expect(worker.url()).toMatch(/^blob:/);
  const [engine] = workers;
  if (!engine) throw new Error("the engine has no worker");
  expect(await engine.evaluate(reaches, ID)).toEqual([]);
  // A helper does pieces of work and nothing else, so it cannot be asked; another worker of the engine's worker can.
  const nested = await engine.evaluate(async ([reaches, id]) => {
    const text = `(${reaches})(${JSON.stringify(id)}).then(postMessage)`;
    const worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    return new Promise<unknown>((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  }, [reaches.toString(), ID] as const);
  expect(nested).toEqual([]);
  expect(hub.asked).toEqual([]);
});

test("a worker that anybody starts on that page is held to its policy", async ({ page, demo, hub, downloads, watch }) => {
  watch.allow(/Content Security Policy|CSP: |Failed to fetch|WebSocket|Refused|violates/);
  expect(downloads).toBeTruthy();
  await demo.open();
  const before = new Set(page.workers());
  await page.evaluate(() => {
    // Any script of the origin will do; this one waits for orders.
    const script = performance.getEntriesByType("resource").find(({ name }) => /assets\/worker-[\w-]+\.js$/.test(name));
    Object.assign(window, { another: new Worker(script?.name ?? "", { type: "module" }) });
  });
  const another = (): ReturnType<Page["workers"]>[number] | undefined => page.workers().find((worker) => !before.has(worker));
  await expect.poll(() => another() !== undefined).toBe(true);
  expect(await another()?.evaluate(reaches, ID)).toEqual([]);
  expect(hub.asked).toEqual([]);
});

test("the download page reaches the hub and nobody else, compiles nothing, shows no picture", async ({ page, downloads, watch }) => {
  watch.allow(/Content Security Policy|CSP: |Failed to fetch|Refused|violates/);
  await downloads.open();
  // The others are refused by the page's isolation (cross-origin-embedder-policy), not by its policy.
  expect(await page.evaluate(reaches, ID)).toEqual(["fetch"]);
  const outcome = await page.evaluate(async () => {
    const blocked: string[] = [];
    addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => blocked.push(`${effectiveDirective} ${blockedURI.slice(0, 30)}`));
    await fetch("https://example.org/").catch(() => undefined);
    const wasm = await WebAssembly.compile(Uint8Array.from([0, 97, 115, 109, 1, 0, 0, 0])).then(
      () => "compiled",
      () => "refused",
    );
    const image = new Image();
    const shown = await new Promise((resolve) => {
      image.onload = () => resolve("shown");
      image.onerror = () => resolve("refused");
      image.src = "./icon.svg";
    });
    return { blocked, wasm, shown };
  });
  expect(outcome.blocked).toContain("connect-src https://example.org/");
  expect(outcome).toMatchObject({ wasm: "refused", shown: "refused" });
});

/** All scripts of a page as it is served, with what they import and the workers they start. */
async function scriptsOf(page: Page, file: string): Promise<Map<string, string>> {
  const scripts = new Map<string, string>();
  const visit = async (path: string): Promise<void> => {
    if (scripts.has(path)) return;
    const text = await (await page.request.get(`./${path}`)).text();
    scripts.set(path, text);
    for (const [, name = ""] of text.matchAll(/["'`](?:\.\/|assets\/)?([\w.-]+-[\w-]{8}\.js)["'`]/g)) await visit(`assets/${name}`);
  };
  const html = await (await page.request.get(`./${file}`)).text();
  for (const [, path = ""] of html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+\.js)"/g)) await visit(path);
  return scripts;
}

test("the built pages share nothing but small helpers: no engine and no library here, no hub there", async ({ page }) => {
  const main = await scriptsOf(page, "index.html");
  const download = await scriptsOf(page, "download.html");
  expect(main.size).toBeGreaterThan(2);
  expect(download.size).toBeGreaterThan(1); // the page and its worker at least
  for (const [path, text] of download) {
    expect(/namelens_(cpu|webgpu)|WebAssembly|indexedDB|\.safetensors-|getUserMedia|drawImage|createImageBitmap/.exec(text)?.[0], path).toBeUndefined();
  }
  for (const [path, text] of main) expect(/huggingface\.co|hf\.co/.exec(text)?.[0], path).toBeUndefined();
});

test("a build in which the download page has the engine, or the main page the hub, is refused", () => {
  const chunk = (facadeModuleId: string | null, moduleIds: string[], imports: string[] = []): Chunk => ({
    type: "chunk",
    isEntry: facadeModuleId !== null,
    facadeModuleId,
    moduleIds,
    imports,
    dynamicImports: [],
  });
  const root = "/app/web-demo";
  const at = (path: string): string => `${root}/${path}`;
  const right = {
    "download.js": chunk(at("download.html"), [at("src/download/main.ts")], ["shared.js"]),
    "index.js": chunk(at("index.html"), [at("src/main.ts"), "/app/wasm-pkg/npm/dist/index.js"], ["shared.js"]),
    "shared.js": chunk(null, [at("src/dom.ts"), at("src/models/store.ts"), "/app/node_modules/@noble/hashes/sha2.js"]),
  };
  expect(strays(right, root)).toEqual([]);
  const engine = { ...right, "shared.js": chunk(null, [at("src/dom.ts"), "/app/wasm-pkg/npm/dist/store.js", at("src/shelf.ts")]) };
  expect(strays(engine, root)).toEqual(["download.html must not have ../wasm-pkg/npm/dist/store.js", "download.html must not have src/shelf.ts"]);
  const hub = { ...right, "shared.js": chunk(null, [at("src/download/hub.ts")]) };
  expect(strays(hub, root)).toEqual(["index.html must not have src/download/hub.ts"]);
  const worker = { "worker.js": chunk(at("src/download/worker.ts"), [at("src/download/worker.ts"), "/app/wasm-pkg/npm/dist/vault.js"]) };
  expect(strays(worker, root)).toEqual(["src/download/worker.ts must not have ../wasm-pkg/npm/dist/vault.js"]);
});

test("both pages open without a connection, and show what is here", async ({ page, downloads, context, watch }) => {
  watch.allow(/ERR_INTERNET_DISCONNECTED|Failed to load resource/);
  await downloads.open();
  await downloads.start();
  await downloads.ready();
  // The room of photographs, whose own model the downloaded one stands beside.
  await page.goto("./");
  await expect(page.locator("#status-offline")).toHaveText("Works offline");
  await context.setOffline(true);
  await downloads.open();
  await downloads.ready();
  await downloads.card.getByRole("link", { name: /^Use/ }).click();
  await expect(page.locator("#model-loaded")).toHaveText(/^Loaded: SmolVLM-256M-Instruct/);
  await context.setOffline(false);
});
