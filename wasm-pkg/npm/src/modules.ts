// The engine's WebAssembly modules: one for each device, chosen before anything is fetched.

import type { Device } from "./types.js";

/** The addresses of the modules. */
export type Modules = Readonly<Record<Device, string>>;

/** The files of the modules in the package's folder `wasm`. */
export const FILES: Readonly<Record<Device, string>> = {
  cpu: "namelens_cpu_bg.wasm",
  webgpu: "namelens_webgpu_bg.wasm",
};
