// Run-time half of working offline: registers the service worker and says when it has everything.

/** Resolves to true once the page can be opened without a connection, false where that cannot be. */
export async function readyOffline(): Promise<boolean> {
  // The development server has no list of files; only the built page works offline.
  if (!("serviceWorker" in navigator) || import.meta.env.DEV) return false;
  try {
    await navigator.serviceWorker.register("./sw.js", { scope: "./" });
    // `ready` waits for an active worker, and ours becomes active only after it has kept every file.
    await navigator.serviceWorker.ready;
    return true;
  } catch {
    return false;
  }
}
