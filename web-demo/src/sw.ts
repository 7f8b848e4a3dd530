// The service worker: keeps the page, its code and its pictures, and serves them without a connection.
// The model is not here: the package keeps that itself, verified, in the private file system.

// The library types know of workers in general; this one is a service worker.
const scope = self as unknown as ServiceWorkerGlobalScope;

// Both are filled in by offline-plugin.ts when the page is built.
const FILES = JSON.parse('__PRECACHE__') as string[];
const PREFIX = "namelens-page-";
const CACHE = `${PREFIX}__VERSION__`;
/** The engine's module for WebGPU: some megabytes, kept only once an engine runs on it here. */
const WEBGPU = /namelens_webgpu.*\.wasm$/;

scope.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      await keep(FILES.filter((file) => !WEBGPU.test(file)));
      await scope.skipWaiting();
    })(),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      for (const name of await caches.keys()) {
        if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
      }
      await scope.clients.claim();
    })(),
  );
});

// The page says which device its engine runs on, and is answered once that can be done without a connection.
scope.addEventListener("message", (event) => {
  const [port] = event.ports;
  const files = FILES.filter((file) => event.data === "webgpu" && WEBGPU.test(file));
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
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (isKept(url)) event.respondWith(kept(request));
});

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

/** Some servers say that their files vary by Origin; these files do not. */
async function kept(request: Request): Promise<Response> {
  return (await caches.match(request, { cacheName: CACHE, ignoreSearch: true, ignoreVary: true })) ?? fetch(request);
}

function isKept(url: URL): boolean {
  const base = new URL(scope.registration.scope).pathname;
  return url.pathname.startsWith(base) && FILES.includes(decodeURIComponent(url.pathname.slice(base.length)));
}
