// The album that comes with the page: photos of things to name, and scenes to find them in.

import { h } from "./dom.js";

/** One photo of an album.json. The first scene shows the first reference: the shortest path must work. */
export interface AlbumPhoto {
  readonly file: string;
  readonly url: URL;
  readonly alt: string;
  readonly role: "reference" | "scene";
  readonly suggestedName?: string;
  readonly category?: string;
  readonly info?: string;
  /** Who took it. */
  readonly credit?: string;
}

/** A photo somebody picked, wherever it came from. */
export interface Picked {
  readonly blob: Blob;
  readonly alt: string;
  readonly album?: AlbumPhoto;
}

/** The list of an album; empty when it is not there, since every other way to bring a photo still works. */
export async function readAlbum(folder: "./album/" | "./album/photos/"): Promise<readonly AlbumPhoto[]> {
  const base = new URL(folder, document.baseURI);
  try {
    const response = await fetch(new URL("album.json", base));
    const photos = response.ok ? ((await response.json()) as Omit<AlbumPhoto, "url">[]) : [];
    return photos.map((photo) => ({ ...photo, url: new URL(photo.file, base) }));
  } catch {
    return [];
  }
}

/** The bytes of a photo of an album. */
export async function fetchPhoto(photo: AlbumPhoto): Promise<Picked> {
  const response = await fetch(photo.url);
  if (!response.ok) throw new Error(`${photo.file}: the server answered ${response.status}`);
  return { blob: await response.blob(), alt: photo.alt, album: photo };
}

/**
 * A row of photos to choose from. `onPick` gets the photo's bytes; `onOpen` is told at once that what was picked
 * before is over, so that nobody types into a form that is about to be replaced.
 */
export function albumStrip(
  photos: readonly AlbumPhoto[],
  label: string,
  verb: string,
  onPick: (picked: Picked) => void,
  onError: (error: unknown) => void,
  onOpen: () => void = () => undefined,
): HTMLElement {
  const buttons = photos.map((photo) => {
    const image = h("img", { src: photo.url.href, alt: "", width: "96", height: "96", loading: "lazy", decoding: "async" });
    const button = h(
      "button",
      { type: "button", class: `thumb thumb-${photo.role}`, "aria-label": `${verb}: ${photo.alt}`, title: photo.alt },
      image,
    );
    button.addEventListener("click", async () => {
      for (const other of buttons) other.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      onOpen();
      try {
        const picked = await fetchPhoto(photo);
        // Another photo may have been picked while this one was on its way.
        if (button.hasAttribute("aria-current")) onPick(picked);
      } catch (error) {
        onError(error);
      }
    });
    return button;
  });
  return h("ul", { class: `strip strip-${photos[0]?.role ?? "scene"}`, "aria-label": label }, ...buttons.map((button) => h("li", {}, button)));
}
