// The engine's WebAssembly modules: one is chosen before anything is fetched.

import type { Device } from "./types.js";

/** A module: for WebGPU, for the processor, or for the processor with threads. */
export type ModuleName = Device | "cpu-threads";

/** Most threads that one can ask for. */
export const MOST_THREADS = 16;

/** The addresses of the modules. */
export type Modules = Readonly<Record<ModuleName, string>>;

/** The files of the modules in the package's folder `wasm`. */
export const FILES: Readonly<Record<ModuleName, string>> = {
  cpu: "namelens_cpu_bg.wasm",
  "cpu-threads": "namelens_cpu_threads_bg.wasm",
  webgpu: "namelens_webgpu_bg.wasm",
};
