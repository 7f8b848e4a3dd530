// Run-time half of working offline: registers the service worker and says when it has everything.

/** Resolves to true once the page, with this module of the engine, can be opened without a connection, false where that cannot be. */
export async function readyOffline(module: "cpu" | "cpu-threads" | "webgpu"): Promise<boolean> {
  // The development server has no list of files; only the built page works offline.
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return false;
  try {
    const registration = await navigator.serviceWorker.register("./sw.js", { scope: "./" });
    // After a new build the worker of the old one would speak for itself. Without a connection there is no newer one to be had.
    await registration.update().catch(() => undefined);
    await settled(registration.installing ?? registration.waiting);
    // `ready` waits for an active worker, and ours becomes active only after it has kept what every module needs.
    const { active } = await navigator.serviceWorker.ready;
    return await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => resolve(data === true);
      active?.postMessage(module, [port2]);
    });
  } catch {
    return false;
  }
}

/** Waits until a worker is in charge, or never will be. */
async function settled(worker: ServiceWorker | null): Promise<void> {
  while (worker && worker.state !== "activated" && worker.state !== "redundant") {
    await new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
  }
}
