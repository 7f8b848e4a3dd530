// A server of static files with the headers that a spec asks for, on a free port of 127.0.0.1.

import { readFile } from "node:fs/promises";
import { createServer, type OutgoingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".wasm": "application/wasm",
};

/** A server that runs. */
export interface Site {
  /** Ends in a slash. */
  readonly url: string;
  stop(): Promise<void>;
}

/** How it answers. */
export interface Answers {
  readonly headers?: OutgoingHttpHeaders;
  /** What is not there is answered with the app's page, as development servers do. */
  readonly fallback?: boolean;
}

/** Headers of a page that shares memory with nobody else, and so may have threads. */
export const ISOLATED = { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" };

/** Serves `folder`. */
export async function site(folder: string, { headers = {}, fallback = false }: Answers = {}): Promise<Site> {
  const server = createServer((request, response) => {
    void (async () => {
      const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://here").pathname));
      const file = path.endsWith("/") ? `${path}index.html` : path;
      const found = await readFile(join(folder, file)).catch(() => null);
      const body = found ?? (fallback ? await readFile(join(folder, "index.html")) : null);
      const type = found ? (TYPES[extname(file)] ?? "application/octet-stream") : "text/html; charset=utf-8";
      response.writeHead(body ? 200 : 404, { "content-type": type, ...headers });
      response.end(request.method === "HEAD" ? undefined : body);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
