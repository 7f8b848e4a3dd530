// A server of plain files that answers with one build of the page after the other, each without the files of those before.

import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test as base } from "./page.js";

const dist = fileURLToPath(new URL("../../web-demo/dist", import.meta.url));
const TYPES: Record<string, string> = { html: "text/html", js: "text/javascript", css: "text/css", svg: "image/svg+xml", wasm: "application/wasm" };

/** Which build the server has. */
export interface Build {
  /** 0 is the one in web-demo/dist; in later ones all scripts and modules have other names. */
  number: number;
  /** Of which build the service worker is, where it is not updated yet. */
  worker?: number;
  /** A file that is missing. */
  without?: string;
}

/** Before the hash in the name of a script or a module. */
const HASH = /-(?=[\w-]{8}\.(?:js|wasm)\b)/g;

/** A text file of a build, with the names of that build. */
function renamed(text: string, number: number): string {
  return number === 0 ? text : text.replaceAll(HASH, `-n${number}-`);
}

async function read(path: string, { number, worker = number, without }: Build): Promise<Buffer> {
  if (path === without) throw new Error(`${path} is missing`);
  const name = path.replace(`-n${number}-`, "-");
  // Of another build: its names have no number, or another one.
  if (renamed(name, number) !== path) throw new Error(`${path} is of another build`);
  const body = await readFile(join(dist, name));
  if (path === "/sw.js") return Buffer.from(renamed(body.toString(), worker).replace(/\b[0-9a-f]{16}\b/, `$&${worker}`));
  return /\.(html|js)$/.test(name) ? Buffer.from(renamed(body.toString(), number)) : body;
}

/** The server; it sends no headers but the type, and has nothing kept by the browser's own cache. */
async function serve(build: Build): Promise<Server> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname).replace(/\/$/, "/index.html");
    const headers = { "content-type": TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream", "cache-control": "no-store" };
    read(path, build).then(
      (body) => response.writeHead(200, headers).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** Specs of a page on such a server. */
export const test = base.extend<{ build: Build }>({
  build: async ({}, use) => use({ number: 0 }),
  baseURL: async ({ build }, use) => {
    const server = await serve(build);
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    server.close();
    server.closeAllConnections();
  },
});
