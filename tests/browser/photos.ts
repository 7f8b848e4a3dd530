// The room of real photographs, driven as a visitor would; its album with the places of the things as a person sees them.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, type Locator, type Page } from "@playwright/test";

/** `[left, top, right, bottom]` in fractions. */
export type Box = readonly [number, number, number, number];

/** Where the collie is in its photos. */
export const COLLIE: Record<string, Box> = {
  "collie-sofa": [0.16, 0.025, 0.8, 0.955],
  "collie-leaves": [0.3, 0.085, 0.765, 0.905],
  "collie-flowers": [0.25, 0, 0.745, 0.945],
};
/** Photos of other animals and things. */
export const OTHERS = ["cat-close", "cat-grass", "teapot-bench", "teapot-block", "corgi-blossom", "corgi-wall", "puppy-orange"];

/** A photo of the album. */
export const photoPath = (name: string): string => fileURLToPath(new URL(`../../web-demo/public/album/photos/${name}.jpg`, import.meta.url));
export const photoBytes = (name: string): Promise<Buffer> => readFile(photoPath(name));

/** How much two boxes overlap: what both cover, of what either covers. */
export function overlap(a: Box, b: Box): number {
  const shared = (from: 0 | 1): number => Math.max(0, Math.min(a[from + 2] as number, b[from + 2] as number) - Math.max(a[from], b[from]));
  const area = ([left, top, right, bottom]: Box): number => (right - left) * (bottom - top);
  const both = shared(0) * shared(1);
  return both / (area(a) + area(b) - both);
}

/** The room. */
export class Photos {
  readonly show: Locator;
  readonly find: Locator;
  readonly shelf: Locator;
  readonly box: Locator;
  readonly wall: Locator;

  constructor(readonly page: Page) {
    this.show = page.locator("#show");
    this.find = page.locator("#find");
    this.shelf = page.locator("#photos-shelf");
    this.box = page.locator(".editor-box");
    this.wall = page.locator(".wall-place");
  }

  /** Opens the page, which opens on this room, and waits for its model. */
  async open(): Promise<void> {
    await this.page.goto("./");
    await this.loaded();
  }

  /** Waits until the model runs. */
  async loaded(): Promise<void> {
    await expect(this.page.locator("html")).toHaveAttribute("data-device", /./);
    await expect(this.page.locator("#loading")).toBeHidden();
  }

  /** Picks a thing of the album and waits for its box and for what it looks like. */
  async pick(at = 0): Promise<void> {
    await this.show.locator(".thumb").nth(at).click();
    await this.proposed();
  }

  /** Waits until a box is proposed. */
  async proposed(): Promise<void> {
    await expect(this.box).toBeVisible();
    await expect(this.show.locator(".enrol-busy")).not.toContainText("…");
  }

  /** Where the box is. */
  async boxed(): Promise<Box> {
    return this.box.evaluate((element: HTMLElement) => {
      const [left, top, width, height] = ["left", "top", "width", "height"].map((side) => parseFloat(element.style.getPropertyValue(side)) / 100);
      return [left, top, (left ?? 0) + (width ?? 0), (top ?? 0) + (height ?? 0)] as unknown as [number, number, number, number];
    });
  }

  /** Drags a handle with the mouse to a point of the photo. */
  async drag(x: -1 | 0 | 1, y: -1 | 0 | 1, to: readonly [number, number]): Promise<void> {
    const frame = await this.page.locator(".editor-frame").boundingBox();
    const handle = await this.box.locator(`[data-x="${x}"][data-y="${y}"]`).boundingBox();
    if (!frame || !handle) throw new Error("the box has no handles on show");
    await this.page.mouse.move(handle.x + handle.width / 2, handle.y + handle.height / 2);
    await this.page.mouse.down();
    await this.page.mouse.move(frame.x + frame.width * to[0], frame.y + frame.height * to[1], { steps: 5 });
    await this.page.mouse.up();
  }

  /** Drags a handle sideways with a finger, by so many pixels. */
  async touch(x: -1 | 0 | 1, y: -1 | 0 | 1, by: number): Promise<void> {
    const handle = await this.box.locator(`[data-x="${x}"][data-y="${y}"]`).boundingBox();
    if (!handle) throw new Error("the box has no handles on show");
    const devtools = await this.page.context().newCDPSession(this.page);
    const [left, top] = [handle.x + handle.width / 2, handle.y + handle.height / 2];
    const send = (type: "touchStart" | "touchMove" | "touchEnd", at?: number): Promise<unknown> =>
      devtools.send("Input.dispatchTouchEvent", { type, touchPoints: at === undefined ? [] : [{ x: left + at, y: top }] });
    await send("touchStart", 0);
    await send("touchMove", by / 2);
    await send("touchMove", by);
    await send("touchEnd");
  }

  /** Names what is on show. */
  async name(name: string): Promise<void> {
    await this.show.getByLabel("What is it called?").fill(name);
    await this.settle(() => this.show.getByRole("button", { name: "Name it" }).click());
    await expect(this.shelf.locator(".tag", { hasText: name })).toBeVisible();
  }

  /** Chooses photos to look through, and waits for the last. */
  async look(files: Parameters<Locator["setInputFiles"]>[0]): Promise<void> {
    await this.settle(() => this.find.getByLabel("Your photos:").setInputFiles(files));
  }

  /** Does what starts a pass over the photos and waits for its end. */
  async settle(start: () => Promise<void>, timeout = 180_000): Promise<void> {
    const before = Number(await this.wall.getAttribute("data-settled"));
    await start();
    await expect.poll(async () => Number(await this.wall.getAttribute("data-settled")), { timeout }).toBeGreaterThan(before);
    await expect(this.wall).toHaveAttribute("aria-busy", "false");
  }

  /** The card of a photo. */
  card(name: string): Locator {
    return this.find.locator(".result").filter({ has: this.page.getByRole("button", { name: `Show large: ${name}` }) });
  }

  /** What a card says. */
  async said(name: string): Promise<string> {
    return ((await this.card(name).locator(".facts").textContent()) ?? "").replaceAll("\u00a0", " ");
  }

  /** The boxes on a card that are more than a "perhaps". */
  async sure(name: string): Promise<Box[]> {
    return this.card(name)
      .locator(".box-line.sure")
      .evaluateAll((lines) =>
        lines.map((line) => {
          const { x, y, width, height } = (line as SVGGraphicsElement).getBBox();
          return [x / 100, y / 100, (x + width) / 100, (y + height) / 100] as const;
        }),
      );
  }
}

/** A picture of vertical stripes in these colours, as PNG. */
export async function picture(page: Page, width: number, height: number, ...colors: string[]): Promise<Buffer> {
  const data = await page.evaluate(
    async ({ width, height, colors }) => {
      const canvas = new OffscreenCanvas(width, height);
      const pen = canvas.getContext("2d");
      colors.forEach((color, at) => {
        if (pen) pen.fillStyle = color;
        pen?.fillRect(Math.floor((at * width) / colors.length), 0, Math.ceil(width / colors.length), height);
      });
      const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
      let text = "";
      for (const byte of bytes) text += String.fromCharCode(byte);
      return btoa(text);
    },
    { width, height, colors },
  );
  return Buffer.from(data, "base64");
}
