// What every spec of the download page stands on: a hub of its own, a browser that finds it, and the page driven as a visitor would.

import { fileURLToPath } from "node:url";
import type { Locator, Page } from "@playwright/test";
import { checkpointFiles, COMMIT, Hub } from "./hub.js";
import { expect, test as base } from "./page.js";

export const ID = "HuggingFaceTB/SmolVLM-256M-Instruct";
export const SHARD = "model-00002-of-00003.safetensors";

export const test = base.extend<{ downloads: Downloads }, { hub: Hub }>({
  hub: [
    async ({}, use) => {
      const hub = await Hub.start();
      const files = await checkpointFiles(fileURLToPath(new URL("../fixtures/checkpoints/smolvlm", import.meta.url)));
      const extra = new Map([...files, ["README.md", Buffer.from("# A model")], ["onnx/model.onnx", Buffer.alloc(1000)]]);
      hub.repositories.set(ID, { files: extra });
      hub.repositories.set("org/small", { files: extra });
      hub.repositories.set("org/gated", { files: extra, gated: true });
      hub.repositories.set("org/words", { files: new Map([["README.md", Buffer.from("no model")]]) });
      const blocks = await checkpointFiles(fileURLToPath(new URL("../fixtures/gguf", import.meta.url)), /^$/);
      hub.repositories.set("org/gguf", { files: named(blocks) });
      await use(hub);
      await hub.stop();
    },
    { scope: "worker" },
  ],
  launchOptions: [
    async ({ hub }, use, { project }) => {
      const options = project.use.launchOptions ?? {};
      await use({ ...options, args: [...(options.args ?? []), ...hub.browserArgs] });
    },
    { scope: "worker" },
  ],
  downloads: async ({ page, hub, watch }, use) => {
    hub.reset();
    // This page alone may ask the hub; a refusal is a line on the console.
    watch.allow(/^request to https:\/\/(huggingface\.co|cas-bridge\.xethub\.hf\.co)\//);
    watch.allow(/^console: Failed to load resource: /);
    await use(new Downloads(page));
  },
});

export { expect };

/** Where a file of the checkpoint is kept, below the folder of all models. */
export const folder = (path: string): string => `${ID.replace("/", "__")}@${COMMIT}/${path}`;

/** GGUF files under the names of two quantisations and a projector; what is in them does not matter to a download. */
function named(files: Map<string, Buffer>): Map<string, Buffer> {
  const [first = Buffer.alloc(10)] = [...files.values()];
  return new Map(["M-Q8_0.gguf", "M-Q4_K_M.gguf", "mmproj-M-f16.gguf", "README.md"].map((name) => [name, first]));
}

/** The page, driven as a visitor would. */
export class Downloads {
  readonly card: Locator;

  constructor(readonly page: Page) {
    this.card = page.getByRole("article", { name: "SmolVLM 256M" }).first();
  }

  async open(): Promise<void> {
    await this.page.goto("./download.html");
    await expect(this.page.locator("html")).toHaveAttribute("data-started", "");
  }

  async start(): Promise<void> {
    await this.card.getByRole("button", { name: /^Download/ }).click();
  }

  async ready(card = this.card): Promise<void> {
    await expect(card.getByText(/^Here: .* every file checked/)).toBeVisible();
  }

  async lookUp(id: string): Promise<void> {
    await this.page.getByLabel("Repository on Hugging Face").fill(id);
    await this.page.getByRole("button", { name: "Look it up" }).click();
  }

  /** Names and sizes of all that is kept. */
  kept(): Promise<Record<string, number>> {
    return this.page.evaluate(async () => {
      const found: Record<string, number> = {};
      const read = async (folder: FileSystemDirectoryHandle, at: string): Promise<void> => {
        for await (const [name, handle] of folder.entries()) {
          if (handle.kind === "directory") await read(handle as FileSystemDirectoryHandle, `${at}${name}/`);
          else {
            try {
              found[at + name] = (await (handle as FileSystemFileHandle).getFile()).size;
            } catch (thrown) {
              // A part that was given its own name after it was listed; a caller that wants it asks again.
              if (!(thrown instanceof DOMException && thrown.name === "NotFoundError")) throw thrown;
            }
          }
        }
      };
      const root = await navigator.storage.getDirectory();
      await read(await root.getDirectoryHandle("models", { create: true }), "");
      return found;
    });
  }
}
