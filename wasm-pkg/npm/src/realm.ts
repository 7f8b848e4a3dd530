// What must hold before an engine can run here: a browser, WebAssembly with vectors, and a policy that allows both.

import { NameLensError } from "./errors.js";

/** Refuses what is no browser. Importing the package there is fine: nothing happens before `create`. */
export function checkBrowser(): void {
  if (typeof document !== "undefined" || "WorkerGlobalScope" in globalThis) return;
  throw new NameLensError("unsupported", "NameLens runs in a browser, and this is none (Node.js, a server, a build)", {
    hint:
      "Create NameLens in the page: with Next and other frameworks that also render on the server, in an effect or an " +
      "event handler. Outside browsers the command line program `namelens` captions photos.",
  });
}

/** Refuses a place where no worker can be started. */
export function checkWorkers(): void {
  if (typeof Worker === "function") return;
  const what = "workers cannot be started here, as in a service worker, a shared worker or a simulated page";
  throw new NameLensError("unsupported", what, {
    hint: "Create NameLens in a page, in an offscreen document of an extension, or in a dedicated worker; or pass { worker: false }.",
  });
}

/** Refuses a browser without vectors, and a page that may not compile WebAssembly: the two have nothing in common. */
export function checkWebAssembly(): void {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(SIMD_PROBE)) {
    throw new NameLensError("unsupported", "this browser has no WebAssembly SIMD");
  }
  try {
    new WebAssembly.Module(EMPTY);
  } catch (cause) {
    throw new NameLensError("unsupported", "the Content-Security-Policy here forbids to compile WebAssembly", {
      cause,
      hint: "Add 'wasm-unsafe-eval' to script-src in the policy of the page, and in the one its worker's script is served with.",
    });
  }
}

/** The smallest module: magic and version. */
const EMPTY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

/** The smallest module with a vector in it: `i32.const 0; i8x16.splat; i8x16.popcnt`. */
const SIMD_PROBE = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);
