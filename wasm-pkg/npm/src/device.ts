// Which device to run on: a feature test, not a guess from the browser's name.

import { NameLensError } from "./errors.js";
import type { Device } from "./types.js";

/** The device for a wish, and why it is not WebGPU when that was hoped for. */
export async function chooseDevice(wish: Device | "auto"): Promise<{ device: Device; fallback: string | null }> {
  if (wish === "cpu") return { device: "cpu", fallback: null };
  const problem = await gpuProblem(wish === "auto");
  if (!problem) return { device: "webgpu", fallback: null };
  if (wish === "webgpu") throw new NameLensError("no-adapter", `WebGPU cannot be used: ${problem}`);
  return { device: "cpu", fallback: problem };
}

/** `realOnly`: a software adapter counts as none, because the CPU path is faster than a GPU played by the CPU. */
async function gpuProblem(realOnly: boolean): Promise<string | null> {
  const gpu = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (!gpu) return "this browser has no WebGPU here";
  let adapter: GPUAdapter | null;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
  if (!adapter) return "the browser found no graphics adapter";
  // Older browsers say it on the adapter, newer ones in its info.
  const fallback = adapter.info?.isFallbackAdapter ?? (adapter as { isFallbackAdapter?: boolean }).isFallbackAdapter;
  return realOnly && fallback ? "the only adapter is a software one, slower than the CPU" : null;
}
