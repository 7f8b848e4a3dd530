// The service worker: keeps the page, its code and its pictures, and serves them without a connection.
// The model is not here: the package keeps that itself, verified, in the private file system.

// The library types know of workers in general; this one is a service worker.
const scope = self as unknown as ServiceWorkerGlobalScope;

// Both are filled in by offline-plugin.ts when the page is built.
const FILES = JSON.parse('__PRECACHE__') as string[];
const PREFIX = "namelens-page-";
const CACHE = `${PREFIX}__VERSION__`;
/** In each cache: since when its build has been in charge. */
const SINCE = "since";
/** What has a content hash in its name; a page of the build before, which is still open, asks for it by that name. */
const HASHED = /^assets\/.+\.(js|css|wasm|woff2)$/;
/** The engine's modules, some megabytes each: one is kept only once an engine runs on it here. */
const MODULES: Readonly<Record<string, RegExp>> = {
  cpu: /namelens_cpu_bg.*\.wasm$/,
  "cpu-threads": /namelens_cpu_threads.*\.wasm$/,
  webgpu: /namelens_webgpu.*\.wasm$/,
};

scope.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      // With this build's module for the one that an earlier build kept: else there would be none until an engine has run once more.
      const kinds = await keptBefore();
      await keep(FILES.filter((file) => !file.endsWith(".wasm") || kinds.some((kind) => kind.test(file))));
      await scope.skipWaiting();
    })(),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      await (await caches.open(CACHE)).put(SINCE, new Response(String(Date.now())));
      // The build before stays: its pages may be open, and the server may have forgotten it.
      const [, ...older] = await earlier();
      for (const name of older) await caches.delete(name);
      await scope.clients.claim();
    })(),
  );
});

// The page says which module its engine runs on, and is answered once that can be done without a connection.
scope.addEventListener("message", (event) => {
  const [port] = event.ports;
  const files = FILES.filter((file) => MODULES[String(event.data)]?.test(file));
  const kept = keep(files).then(
    () => true,
    () => false,
  );
  event.waitUntil(kept.then((whole) => port?.postMessage(whole)));
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.location.origin) return;
  if (request.mode === "navigate") event.respondWith(isOurs(url) ? page(request).then(isolated) : page(request));
  else if (isKept(url) || HASHED.test(below(url))) event.respondWith(kept(request));
});

/** The caches of other builds, of the one that was in charge last first; those that never were, since they broke off, come last. */
async function earlier(): Promise<string[]> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  const since = async (name: string): Promise<number> => Number(await (await caches.match(SINCE, { cacheName: name }))?.text()) || 0;
  const found = await Promise.all(names.map(async (name) => ({ name, since: await since(name) })));
  return found.sort((a, b) => b.since - a.since).map(({ name }) => name);
}

/** The modules that earlier builds kept here. */
async function keptBefore(): Promise<RegExp[]> {
  const kept = await Promise.all((await earlier()).map(async (name) => (await caches.open(name)).keys()));
  return Object.values(MODULES).filter((kind) => kept.flat().some(({ url }) => kind.test(new URL(url).pathname)));
}

/** Puts the files that are not there yet into the cache. Names with a content hash never change; the few others are asked for afresh. */
async function keep(files: readonly string[]): Promise<void> {
  const cache = await caches.open(CACHE);
  await Promise.all(
    files.map(async (file) => {
      if (await cache.match(file, { ignoreVary: true })) return;
      const hashed = file.startsWith("assets/");
      await cache.add(new Request(file, { cache: hashed ? "default" : "no-cache" }));
    }),
  );
}

/** A page: the newest when there is a connection, else the kept one; the main page stands in for what is not kept. */
async function page(request: Request): Promise<Response> {
  try {
    return await fetch(request);
  } catch {
    const index = new URL("index.html", scope.registration.scope).href;
    const options = { cacheName: CACHE, ignoreSearch: true };
    return (await caches.match(request, options)) ?? (await caches.match(index, options)) ?? Response.error();
  }
}

/**
 * The answer with the headers by which the page may share memory with its workers, and so have the engine run on several threads. A server
 * of plain files sends none; from the second visit on they are ours. Workers need none of their own: they come from a `blob:` (confined.ts).
 */
function isolated(answer: Response): Response {
  // A redirection is for the browser to follow, and an error has nothing to be added to.
  if (answer.status === 0) return answer;
  const headers = new Headers(answer.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
}

/** What this build has kept, or the one before under a name that says which. Some servers say that their files vary by Origin; these do not. */
async function kept(request: Request): Promise<Response> {
  const from = (cacheName: string): Promise<Response | undefined> => caches.match(request, { cacheName, ignoreSearch: true, ignoreVary: true });
  const own = await from(CACHE);
  if (own) return own;
  if (HASHED.test(below(new URL(request.url)))) {
    for (const name of await earlier()) {
      const found = await from(name);
      if (found) return found;
    }
  }
  return fetch(request);
}

/** A page of this demo; what else lies below its folder is left as it is. */
function isOurs(url: URL): boolean {
  return isKept(url) || url.pathname === new URL(scope.registration.scope).pathname;
}

function isKept(url: URL): boolean {
  return FILES.includes(below(url));
}

/** The path below the folder of this demo; empty for what lies elsewhere. */
function below(url: URL): string {
  const base = new URL(scope.registration.scope).pathname;
  return url.pathname.startsWith(base) ? decodeURIComponent(url.pathname.slice(base.length)) : "";
}
