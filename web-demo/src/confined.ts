// Every worker of a page is held to the policy of that page.

/**
 * A browser reads the policy of a worker that comes from an address in the answer of the server, never in the page that
 * starts it; where pages are plain files there is none, so such a worker may speak to anybody. A worker from a `blob:`
 * has the policy of its page. So each worker starts as one, and imports its script.
 */
export function confineWorkers(): void {
  const Unconfined = globalThis.Worker;
  globalThis.Worker = class extends Unconfined {
    constructor(address: string | URL, options?: WorkerOptions) {
      const { href, protocol } = new URL(address, document.baseURI);
      if (protocol === "blob:") {
        super(href, options);
        return;
      }
      const script = new Blob([`import ${JSON.stringify(href)};`], { type: "text/javascript" });
      const blob = URL.createObjectURL(script);
      super(blob, { ...options, type: "module" });
      const free = (): void => URL.revokeObjectURL(blob);
      this.addEventListener("message", free, { once: true });
      this.addEventListener("error", free, { once: true });
    }
  };
}
