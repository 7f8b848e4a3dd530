// The worker's entry: one engine behind the worker's own message port.

import type { Port } from "./channel.js";
import { host } from "./host.js";

// Compiled with the page's types, in which the global scope is a window.
host(globalThis as unknown as Port);
