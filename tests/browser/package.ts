// The package itself beside the page, as a stranger's app would have it, and model folders on servers of several kinds.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "@playwright/test";

/** The folder of model folders that `model-folders` wrote (tests/support/model_folders.rs). */
const made = process.env.NAMELENS_FOLDERS;

/** A model folder of a form that strangers publish. */
export function modelFolder(form: "hub" | "two" | "split" | "retriever"): string {
  if (!made) throw new Error("NAMELENS_FOLDERS is not set: `cargo xtask test --only browser` makes the folders");
  return join(made, form);
}

/** What the native engine says of the album's first scene with each of them. */
export async function said(form: "hub" | "split" | "retriever"): Promise<string> {
  const all = JSON.parse(await readFile(join(made ?? "", "said.json"), "utf8")) as Record<string, string>;
  return all[form] ?? "";
}

const TYPES: Record<string, string> = { js: "text/javascript", wasm: "application/wasm", json: "application/json" };

/** Serves the built package below `package/`; `change` may give other bytes. Resolves to the address of its entry. */
export async function servePackage(page: Page, change: (path: string, body: Buffer) => Buffer = (_, body) => body): Promise<string> {
  await page.route(/\/package\//, async (route) => {
    const path = new URL(route.request().url()).pathname.split("/package/").at(-1) ?? "";
    const body = await readFile(fileURLToPath(new URL(`../../wasm-pkg/npm/${path}`, import.meta.url))).catch(() => null);
    if (!body) return route.fulfill({ status: 404 });
    const type = TYPES[path.split(".").at(-1) ?? ""] ?? "application/octet-stream";
    const headers = { "content-type": type, "cross-origin-embedder-policy": "require-corp" };
    return route.fulfill({ headers, body: change(path, body) });
  });
  return new URL("package/dist/index.js", page.url()).href;
}

/**
 * Serves a folder at `org/model/resolve/main/`, with a list of its files if `lists`, as a hub has one. Resolves to its address
 * relative to the page; `asked` hears what it is asked.
 */
export async function serveHub(page: Page, folder: string, lists: boolean, asked: (what: string) => void = () => undefined): Promise<string> {
  await page.route(/\/api\/models\/org\/model\/tree\/main/, async (route) => {
    asked("list");
    if (!lists) return route.fulfill({ status: 404 });
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
    return route.fulfill({ json: files.map((path) => ({ type: "file", path, size: 1 })) });
  });
  await page.route(/\/org\/model\/resolve\/main\//, async (route) => {
    const request = route.request();
    const name = decodeURIComponent(new URL(request.url()).pathname.split("/resolve/main/").at(-1) ?? "");
    asked(`${request.method()} ${name}`);
    const body = await readFile(join(folder, name)).catch(() => null);
    if (!body) return route.fulfill({ status: 404 });
    const headers = { etag: `"${body.length}"`, "content-type": "application/octet-stream", "content-length": String(body.length) };
    return request.method() === "HEAD" ? route.fulfill({ headers }) : route.fulfill({ headers, body });
  });
  return "org/model/resolve/main/";
}

/** Picks a folder in an input `#picked`, as somebody would who has it on disk. */
export async function pickFolder(page: Page, folder: string): Promise<void> {
  await page.evaluate(() => {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", webkitdirectory: true, id: "picked" });
    document.body.append(input);
  });
  await page.locator("#picked").setInputFiles(folder);
}
