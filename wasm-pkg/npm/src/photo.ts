// Whatever holds a photo, as the bytes of a JPEG, PNG or WebP file: the formats the engine decodes.

import { resolved } from "./address.js";
import { asError, cancelled, NameLensError } from "./errors.js";
import type { PhotoSource } from "./types.js";

/** More than any camera writes; a larger file is refused before it is copied about. */
const MAX_BYTES = 128 * 2 ** 20;

/**
 * The photo as encoded bytes, in a buffer of its own (it may be transferred). Formats that only the browser can
 * decode (AVIF, GIF, HEIC where it can) are turned into PNG. Rejects with code `image`, `network`, `http`, `option`, and `cancelled` when
 * `signal` ends the fetching of an address.
 */
export async function photoBytes(source: PhotoSource, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof source === "string" || source instanceof URL) return fromUrl(resolved(source, "photo"), signal);
  if (source instanceof Blob) return fromBlob(source);
  if (source instanceof ArrayBuffer) return fromBytes(new Uint8Array(source.slice(0)));
  if (ArrayBuffer.isView(source)) {
    return fromBytes(new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice());
  }
  if (is(source, "ImageBitmap")) return fromPicture(source, source.width, source.height);
  if (is(source, "HTMLImageElement")) {
    await source.decode().catch((cause: unknown) => fail("the image element has no picture in it", cause));
    return fromPicture(source, source.naturalWidth, source.naturalHeight);
  }
  if (is(source, "HTMLCanvasElement") || is(source, "OffscreenCanvas")) {
    return fromPicture(source, source.width, source.height);
  }
  throw new NameLensError("option", "photo: not a Blob, bytes, image, canvas or address");
}

/** `instanceof` for classes that not every realm has. */
function is<Name extends "ImageBitmap" | "HTMLImageElement" | "HTMLCanvasElement" | "OffscreenCanvas">(
  value: unknown,
  name: Name,
): value is InstanceType<(typeof globalThis)[Name]> {
  const type = (globalThis as Record<string, unknown>)[name];
  return typeof type === "function" && value instanceof type;
}

async function fromUrl(url: URL, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const fail = (thrown: unknown): never => {
    // Whatever the reason is that its owner gave.
    throw signal?.aborted ? cancelled(signal) : asError(thrown, "network");
  };
  const response = await fetch(url, signal ? { signal } : {}).catch(fail);
  if (!response.ok) {
    const hint = "Check the address of the photo.";
    throw new NameLensError("http", `${url.href}: the server answered ${response.status}`, { hint });
  }
  return fromBlob(await response.blob().catch(fail));
}

async function fromBlob(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  checkSize(blob.size);
  // A file on a removed disk or in a closed folder rejects here.
  const bytes = await blob.arrayBuffer().catch((cause: unknown) => fail("the file cannot be read", cause));
  return fromBytes(new Uint8Array(bytes));
}

async function fromBytes(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  checkSize(bytes.byteLength);
  if (isEngineFormat(bytes)) return bytes;
  // The browser may know the format; when it does not either, the engine says what is wrong with the bytes.
  const picture = await createImageBitmap(new Blob([bytes])).catch(() => null);
  if (!picture) return bytes;
  try {
    return await fromPicture(picture, picture.width, picture.height);
  } finally {
    picture.close();
  }
}

/** Goes by the first bytes: names and MIME types are often wrong. */
export function isEngineFormat(bytes: Uint8Array): boolean {
  const starts = (offset: number, ...magic: number[]): boolean => magic.every((byte, i) => bytes[offset + i] === byte);
  const jpeg = starts(0, 0xff, 0xd8, 0xff);
  const png = starts(0, 0x89, 0x50, 0x4e, 0x47);
  const webp = starts(0, 0x52, 0x49, 0x46, 0x46) && starts(8, 0x57, 0x45, 0x42, 0x50);
  return jpeg || png || webp;
}

async function fromPicture(picture: CanvasImageSource, width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  if (width === 0 || height === 0) throw new NameLensError("image", "the picture is empty (0 pixels)");
  try {
    const blob = await drawn(picture, width, height).catch((cause: unknown) => {
      // The canvas of a worker throws where the one of a page gives nothing.
      if (cause instanceof DOMException && cause.name === "SecurityError") throw cause;
      return null;
    });
    if (!blob) throw new NameLensError("image", `${width} x ${height} pixels are more than this browser can draw`);
    return new Uint8Array(await blob.arrayBuffer());
  } catch (thrown) {
    // A picture from another origin without CORS taints the canvas.
    throw asError(thrown, "image");
  }
}

/** The picture as PNG; null when it is too large. Only pages have canvas elements; not every page has the other kind. */
async function drawn(picture: CanvasImageSource, width: number, height: number): Promise<Blob | null> {
  if (typeof document === "undefined") {
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d")?.drawImage(picture, 0, 0);
    return canvas.convertToBlob({ type: "image/png" });
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d")?.drawImage(picture, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

function checkSize(bytes: number): void {
  if (bytes === 0) throw new NameLensError("image", "the file is empty");
  if (bytes > MAX_BYTES) throw new NameLensError("image", `the file is larger than ${MAX_BYTES / 2 ** 20} MiB`);
}

function fail(message: string, cause: unknown): never {
  throw new NameLensError("image", message, { cause });
}
