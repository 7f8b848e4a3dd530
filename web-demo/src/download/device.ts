// What a model will ask of this device: memory and seconds per caption, estimated from what the browser tells of it.

import type { CatalogueEntry } from "./catalogue.js";

/** What a device does in a second. */
export interface Figure {
  readonly what: "graphics card" | "processor";
  /** Multiplications with an addition. */
  readonly products: number;
  /** Bytes of weights that are read from memory. */
  readonly bytes: number;
}

/** The engine runs on one core, four numbers at a time; processors differ little in that. */
const PROCESSOR: Figure = { what: "processor", products: 12e9, bytes: 7e9 };
/** A graphics card that shares the processor's memory, as in most laptops and phones; by cores, which go with its size. */
const CARD_PER_CORE = { products: 25e9, bytes: 3e9 };
const MOST_CORES = 16;
/** Words of a caption, in tokens. */
const CAPTION = 40;
/** Bytes of a weight in memory: blocks of 8-bit numbers, or fewer where the file has fewer. */
const MOST_BYTES = 1.125;
/** Weights of half precision take little more than half of their bytes as blocks; what is worked out beside them takes the rest. */
const MEMORY_PER_BYTE = 1;
/** What a page gets on the processor. */
export const PROCESSOR_MEMORY = 4e9;

/** The figure of this device. WebGPU that the browser draws in software counts as none. */
export async function figure(): Promise<Figure> {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter || adapter.info.isFallbackAdapter) return PROCESSOR;
  const cores = Math.min(navigator.hardwareConcurrency || 4, MOST_CORES);
  return { what: "graphics card", products: cores * CARD_PER_CORE.products, bytes: cores * CARD_PER_CORE.bytes };
}

/** Seconds until a caption is there: the photo is looked at, the prompt is read, then the weights are read once a word. */
export function secondsPerCaption({ work, parameters, bytes }: CatalogueEntry, device: Figure): number {
  const products = work.vision * work.patches + work.text * work.prompt;
  const weights = Math.min(bytes / parameters, MOST_BYTES) * work.text;
  return products / device.products + (CAPTION * weights) / device.bytes;
}

/** Bytes of memory while it runs. */
export const memoryOf = (bytes: number): number => bytes * MEMORY_PER_BYTE;
