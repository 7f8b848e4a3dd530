// The real engine module in Node, for tests of what asks it before there is a model.

import { readFile } from "node:fs/promises";
import init from "../wasm/namelens_wasm.js";
import { tools } from "../dist/engine.js";

await init({ module_or_path: await readFile(new URL("../wasm/namelens_wasm_bg.wasm", import.meta.url)) });

export { tools };
