// The worker's entry: one engine behind the worker's own message port, or a helper of one.

import type { Port } from "./channel.js";
import { beHelper, HELPER, helpersFrom } from "./helpers.js";
import { host } from "./host.js";

// Compiled with the page's types, in which the global scope is a window.
const scope = globalThis as unknown as Port & { readonly name: string };
if (scope.name === HELPER) {
  beHelper();
} else {
  helpersFrom(import.meta.url);
  host(scope);
}
