// Addresses that an app gives: resolved where it gives them, in a page or in a worker of its own.

import { NameLensError } from "./errors.js";

/**
 * `address` in full. A relative one counts from the page, or from the script of the app's worker. Throws `option`, which
 * names `what`, for text that is none; also where nothing can be relative (a worker that was made from a `blob:`).
 */
export function resolved(address: URL | string, what: string, base = baseOf(String(address))): URL {
  const text = String(address);
  try {
    return new URL(text, base);
  } catch (cause) {
    const why = base === undefined ? "is relative, and this worker has no address it could count from" : "is not an address";
    throw new NameLensError("option", `${what}: "${text}" ${why}`, { cause });
  }
}

/** What `text` counts from here; a worker's script in a `blob:` has an origin, but lies in no folder. */
function baseOf(text: string): string | undefined {
  if (typeof document !== "undefined") return document.baseURI;
  const { protocol, href, origin } = location;
  if (protocol !== "blob:" && protocol !== "data:") return href;
  return text.startsWith("/") && origin !== "null" ? origin : undefined;
}
