// Starting a host, in a worker or here; a worker that does not start is asked why.

import type { Port } from "./channel.js";
import { NameLensError } from "./errors.js";
import { isForeign, MISPLACED, type Place } from "./place.js";
import { checkWorkers } from "./realm.js";

/** Milliseconds in which a policy's objection arrives, which comes apart from the worker's own error. */
const OBJECTION_MS = 100;

/** A host that was started. */
export interface Started {
  port: Port;
  close(): void;
  /** Tells of a host that could not be loaded or broke. */
  onFailure(report: (error: NameLensError) => void): void;
}

/** Starts a worker. Throws `worker` or `unsupported`. */
export function startWorker({ worker: address, wasm: { cpu: wasm } }: Place): Started {
  checkWorkers();
  const objections = listenForObjections();
  let worker: Worker;
  try {
    worker = address ? workerAt(address) : bundledWorker();
  } catch (cause) {
    objections.stop();
    throw refused(cause, address ?? wasm);
  }
  // Whatever the worker says, it has started.
  worker.addEventListener("message", () => objections.stop(), { once: true });
  return {
    port: worker,
    close: () => {
      objections.stop();
      worker.terminate();
    },
    onFailure: (report) => {
      worker.onerror = (event) => {
        event.preventDefault();
        // Only a script that ran can throw; one that could not be loaded has nothing to say.
        if (event.message) return report(new NameLensError("worker", event.message));
        void whyNot(address, wasm, objections).then(report);
      };
    },
  };
}

/** Starts a host in this very realm. */
export async function startHere(): Promise<Started> {
  const { host } = await import("./host.js").catch((cause: unknown) => {
    const what = "the engine's modules could not be loaded here";
    throw new NameLensError("worker", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
      hint: "A service worker cannot load modules on demand: use a page or a dedicated worker. Elsewhere, check that the bundler's chunks are served.",
    });
  });
  const { port1, port2 } = new MessageChannel();
  const stopListening = host(port2, { shared: true });
  port1.start();
  port2.start();
  return {
    port: port1,
    close: () => {
      // A host that died never gets to closing, and must not take later faults of the page for its own.
      stopListening();
      // The host is on the other end of the port, so it is asked to close rather than cut off.
      port1.postMessage({ type: "call", id: 0, name: "close", input: undefined });
      port1.addEventListener("message", () => port1.close());
    },
    onFailure: () => undefined,
  };
}

/** Bundlers follow this very form. */
function bundledWorker(): Worker {
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "namelens" });
}

/** Browsers start no worker from another origin, but a script of this one may import what is there. */
function workerAt(address: URL): Worker {
  if (!isForeign(address)) return new Worker(address, { type: "module", name: "namelens" });
  const script = new Blob([`import ${JSON.stringify(address.href)};`], { type: "text/javascript" });
  const blob = URL.createObjectURL(script);
  const worker = new Worker(blob, { type: "module", name: "namelens" });
  const free = (): void => URL.revokeObjectURL(blob);
  worker.addEventListener("message", free, { once: true });
  worker.addEventListener("error", free, { once: true });
  return worker;
}

/** The constructor threw: by the policy, or because the bundle lies on another origin. */
function refused(cause: unknown, address: URL): NameLensError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (isForeign(address)) {
    const hint = `Let the bundler put workers on the page's own origin (webpack: output.workerPublicPath). Or: ${MISPLACED}`;
    return new NameLensError("worker", `browsers start no worker from another origin, as ${address.origin} is: ${why}`, { cause, hint });
  }
  const hint = address.protocol === "file:"
    ? "Open the page through a server (http), not as a file."
    : "Add 'self' to worker-src in the page's Content-Security-Policy, or pass { worker: false }.";
  return new NameLensError("worker", `no worker may be started here: ${why}`, { cause, hint });
}

/** Why a worker's script was not loaded. */
async function whyNot(worker: URL | null, wasm: URL, objections: Objections): Promise<NameLensError> {
  const isBlob = worker !== null && isForeign(worker);
  // Where only the bundler knows the worker's address, the engine's file tells whether it put the package's files anywhere.
  const address = worker ?? wasm;
  const fault = await faultOf(address);
  await new Promise((resolve) => setTimeout(resolve, OBJECTION_MS));
  objections.stop();
  const said = objections.first;
  if (said) {
    const what = `the page's Content-Security-Policy (${said.effectiveDirective}) forbids the worker ${said.blockedURI}`;
    const hint = isBlob
      ? `Serve the package from the page's own origin; or add blob: to worker-src and ${worker.origin} to script-src and connect-src.`
      : "Add 'self' to worker-src in the policy.";
    return new NameLensError("worker", what, { hint });
  }
  if (fault && isBlob) {
    const hint = `The server of ${worker.origin} must allow CORS (Access-Control-Allow-Origin), or serve the package from the page's own origin.`;
    return new NameLensError("worker", `the worker's script cannot be fetched from another origin: ${address.href}: ${fault}`, { hint });
  }
  if (fault) {
    const what = `the package's files are not where this bundle looks for them: ${address.href}: ${fault}`;
    return new NameLensError("worker", what, { hint: MISPLACED });
  }
  const what = worker ? `the worker ${worker.href}` : "the worker";
  return new NameLensError("worker", `${what} could not be loaded, or a module that it imports; the browser's console names it`, {
    hint: worker ? "Check what the server answers to that script and to its modules." : MISPLACED,
  });
}

/** What is wrong with a file of the package at an address; null when it is there. */
async function faultOf(address: URL): Promise<string | null> {
  try {
    const response = await fetch(address, { method: "HEAD" });
    if (!response.ok) return `the server answered ${response.status}`;
    // Many development servers answer with the app's page to whatever they do not know.
    return response.headers.get("content-type")?.startsWith("text/html") ? "the server answered with a page" : null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

interface Objections {
  readonly first: SecurityPolicyViolationEvent | null;
  stop(): void;
}

/** Hears what the policy forbids from now on, if it is about workers. */
function listenForObjections(): Objections {
  let first: SecurityPolicyViolationEvent | null = null;
  const hear = (event: Event): void => {
    const violation = event as SecurityPolicyViolationEvent;
    // A policy that only reports has forbidden nothing.
    if (violation.disposition === "enforce" && /^(worker|child|script|default)-src/.test(violation.effectiveDirective)) first ??= violation;
  };
  globalThis.addEventListener("securitypolicyviolation", hear);
  return {
    get first() {
      return first;
    },
    stop: () => globalThis.removeEventListener("securitypolicyviolation", hear),
  };
}
