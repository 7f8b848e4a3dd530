// What every spec stands on: a watched page, and the steps of the story as a visitor does them.

import { readFile } from "node:fs/promises";
import { expect, test as base, type Locator, type Page } from "@playwright/test";

/** What a page must never do; a test that provokes something says so with `allow`. */
export interface Watch {
  allow(pattern: RegExp): void;
}

/** The captions of the album's first thing and scene, as the native engine wrote them (tests/decode.rs). */
export const fixture = JSON.parse(await readFile(new URL("../fixtures/caption.json", import.meta.url), "utf8")) as {
  name: string;
  /** With what the album says of the thing, as the page adds it. */
  text: string;
  /** Of a name and a photo alone. */
  byNameAlone: string;
};

/** One entry of album/album.json. */
interface AlbumPhoto {
  file: string;
  alt: string;
  role: "reference" | "scene";
}

interface Fixtures {
  watch: Watch;
  demo: Demo;
}

export const test = base.extend<Fixtures>({
  watch: [
    async ({ context, baseURL }, use) => {
      const faults: string[] = [];
      const allowed: RegExp[] = [];
      const origin = new URL(baseURL ?? "").origin;
      // Console messages of the page and its workers; a CSP violation is one of them, and is asked for by name below.
      context.on("console", (message) => {
        if (message.type() === "error") faults.push(`console: ${message.text()}`);
      });
      context.on("weberror", (error) => faults.push(`uncaught: ${error.error().message}`));
      context.on("request", (request) => {
        const url = new URL(request.url());
        if (!["blob:", "data:"].includes(url.protocol) && url.origin !== origin) faults.push(`request to ${url.href}`);
      });
      await context.addInitScript(() => {
        document.addEventListener("securitypolicyviolation", (event) => {
          console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI}`);
        });
      });
      await use({ allow: (pattern) => allowed.push(pattern) });
      expect(faults.filter((fault) => !allowed.some((pattern) => pattern.test(fault)))).toEqual([]);
    },
    { auto: true },
  ],
  demo: async ({ page }, use, { project }) => {
    await use(new Demo(page, project.metadata.device as "webgpu" | "cpu"));
  },
});

export { expect };

/** The page's Playroom, driven as a visitor would. */
export class Demo {
  readonly caption: Locator;
  readonly things: Locator;
  readonly photo: Locator;
  readonly shelf: Locator;

  constructor(
    readonly page: Page,
    readonly device: "webgpu" | "cpu",
  ) {
    this.caption = page.locator("#caption");
    this.things = page.locator("#things");
    this.photo = page.locator("#photo");
    this.shelf = page.locator("#shelf");
  }

  /** Opens the Playroom. A software adapter counts as none for `auto`, so WebGPU is asked for by name. */
  async goto(): Promise<void> {
    await this.page.goto(`./?room=playroom${this.device === "webgpu" ? "&device=webgpu" : ""}`);
  }

  /** Opens the page and waits until the model runs on the project's device. */
  async open(): Promise<void> {
    await this.goto();
    await this.loaded();
  }

  /** Waits until the model runs on the project's device. */
  async loaded(): Promise<void> {
    await expect(this.page.locator("html")).toHaveAttribute("data-device", this.device);
    await expect(this.page.locator("#loading")).toBeHidden();
  }

  /** The first thing and the first scene of the album: the album promises that the scene shows the thing. */
  async album(): Promise<{ thing: AlbumPhoto; scene: AlbumPhoto }> {
    const response = await this.page.request.get(new URL("album/album.json", this.page.url()).href);
    const photos = (await response.json()) as AlbumPhoto[];
    const thing = photos.find(({ role }) => role === "reference");
    const scene = photos.find(({ role }) => role === "scene");
    if (!thing || !scene) throw new Error("album.json needs a reference and a scene");
    return { thing, scene };
  }

  /** The bytes of an album photo. */
  async albumBytes({ file }: AlbumPhoto): Promise<Buffer> {
    return (await this.page.request.get(new URL(`album/${file}`, this.page.url()).href)).body();
  }

  /** Step 1 and 2: a thing of the album, the first by default, gets a name. */
  async name(name: string, thing = 0): Promise<void> {
    await this.things.locator(".thumb").nth(thing).click();
    await this.things.getByLabel("What is it called?").fill(name);
    await this.things.getByRole("button", { name: "Name it" }).click();
    await expect(this.tag(name)).toBeVisible();
  }

  /** Step 3: a scene of the album, the first by default, is captioned. Resolves to the caption. */
  async captionScene(scene = 0): Promise<string> {
    return this.run(() => this.photo.locator(".thumb").nth(scene).click());
  }

  /** Captions the photo on show once more. */
  async captionAgain(): Promise<string> {
    return this.run(() => this.photo.getByRole("button", { name: "Caption again" }).click());
  }

  /** Does what starts a run and waits for its end. Resolves to the caption. */
  async run(start: () => Promise<void>): Promise<string> {
    const settled = Number(await this.photo.getAttribute("data-settled"));
    await start();
    await expect(this.photo).toHaveAttribute("data-settled", String(settled + 1));
    return (await this.caption.textContent()) ?? "";
  }

  /** The newest answer. */
  get answer(): Locator {
    return this.photo.locator(".answer dd").first();
  }

  /** The label of a named thing on the shelf. */
  tag(name: string): Locator {
    return this.shelf.locator(".tag", { hasText: name });
  }

  /** Saves what "Export" downloads and gives its bytes. */
  async export(): Promise<Buffer> {
    const download = this.page.waitForEvent("download");
    await this.shelf.getByRole("button", { name: "Export" }).click();
    return readFile(await (await download).path());
  }
}
