// The visitor's own photos: file picker, camera, drag and drop, paste.

import type { Picked } from "./album.js";
import { h } from "./dom.js";
import { showProblem } from "./notices.js";

/** What a room does with what is dropped on the page or pasted into it. */
export interface Intake {
  /** The two halves of the page while something is dragged over it: the first names, the second looks. */
  readonly zones: readonly (readonly [title: string, text: string])[];
  /** The section in which something pasted is a thing to name. */
  readonly naming: string;
  thing(picked: Picked): void;
  photos(picked: readonly Picked[]): void;
  /** Folders that were dropped, and the files beside them. */
  folders(folders: readonly FileSystemDirectoryEntry[], beside: readonly Picked[]): void;
}

/** "Your photo" and, where there is a camera, "Camera". */
export function ownPhotoButtons(purpose: string, onPick: (picked: Picked) => void): HTMLElement {
  const input = h("input", { type: "file", accept: "image/*", "aria-label": `Your photo: ${purpose}` });
  const choice = fileChoice(input, "Your photo", ([first]) => first && onPick(first));
  return h("div", { class: "own" }, choice, cameraButton(purpose, onPick));
}

/** "Your photos", "A folder" and, where there is a camera, "Camera". */
export function ownPhotosButtons(purpose: string, onPhotos: (picked: readonly Picked[]) => void): HTMLElement[] {
  const several = h("input", { type: "file", accept: "image/*", multiple: true, "aria-label": `Your photos: ${purpose}` });
  const folder = h("input", { type: "file", webkitdirectory: true, multiple: true, "aria-label": `A folder of photos: ${purpose}` });
  return [
    fileChoice(several, "Your photos", onPhotos, "pill pill-strong"),
    fileChoice(folder, "A folder", (picked) => onPhotos(picked.filter(({ blob, alt }) => isPhoto(alt, blob.type) && !/(^|\/)\./.test(alt)))),
    cameraButton(purpose, (picked) => onPhotos([picked])),
  ];
}

/** Whether a file of a folder is a photo; some have no type. */
export const isPhoto = (name: string, type: string): boolean => type.startsWith("image/") || /\.(jpe?g|png|webp|avif|hei[cf]|gif)$/i.test(name);

function fileChoice(input: HTMLInputElement, words: string, onPick: (picked: readonly Picked[]) => void, look = "pill"): HTMLElement {
  input.classList.add("hidden-visually");
  input.addEventListener("change", () => {
    onPick([...(input.files ?? [])].map((file) => ({ blob: file, alt: file.webkitRelativePath || file.name })));
    input.value = ""; // the same file may be chosen again
  });
  return h("label", { class: look }, input, words);
}

function cameraButton(purpose: string, onPick: (picked: Picked) => void): HTMLElement {
  const camera = h("button", { type: "button", class: "pill", hidden: true, "aria-label": `Camera: ${purpose}` }, "Camera");
  camera.addEventListener("click", () => void takePhoto(onPick));
  void hasCamera().then((yes) => (camera.hidden = !yes));
  return camera;
}

async function hasCamera(): Promise<boolean> {
  try {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.some(({ kind }) => kind === "videoinput");
  } catch {
    return false;
  }
}

async function takePhoto(onPick: (picked: Picked) => void): Promise<void> {
  let stream: MediaStream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return showProblem("The camera cannot be used", "Allow it in the browser, or choose a file.", why);
  }
  const video = h("video", { autoplay: true, playsinline: true, "aria-label": "What the camera sees" });
  video.muted = true;
  video.srcObject = stream;
  const shoot = h("button", { type: "button", class: "primary", disabled: true }, "Take the photo");
  video.addEventListener("loadeddata", () => (shoot.disabled = false)); // before that there is no picture to take
  const leave = h("button", { type: "button", class: "quiet" }, "Cancel");
  const dialog = h("dialog", { class: "camera", "aria-label": "Camera" }, video, h("div", { class: "row" }, shoot, leave));
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    for (const track of stream.getTracks()) track.stop();
    dialog.remove();
  });
  leave.addEventListener("click", () => dialog.close());
  shoot.addEventListener("click", () => {
    const canvas = h("canvas", { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d")?.drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      dialog.close(); // gives the focus back, so it comes before whatever takes it next
      if (blob) onPick({ blob, alt: "photo from the camera" });
    }, "image/png");
  });
  dialog.showModal();
}

/** Drag and drop over the whole page, and paste, for the room that is open. */
export function acceptDropsAndPaste(intake: () => Intake | null): void {
  const [name, look] = [h("div", { class: "drop-zone" }), h("div", { class: "drop-zone" })];
  const overlay = h("div", { class: "drop", hidden: true, "aria-hidden": "true" }, name, look);
  document.body.append(overlay);
  const files = (transfer: DataTransfer | null): File[] =>
    [...(transfer?.files ?? [])].filter((file) => file.size > 0 || file.type !== "");
  const dragsFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

  document.addEventListener("dragover", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    if (overlay.hidden) {
      const zones = intake()?.zones ?? [];
      for (const [at, zone] of [name, look].entries()) zone.replaceChildren(h("strong", {}, zones[at]?.[0]), h("span", {}, zones[at]?.[1]));
    }
    overlay.hidden = false;
    name.classList.toggle("over", name.contains(event.target as Node));
    look.classList.toggle("over", look.contains(event.target as Node));
  });
  // A drag that leaves the window has no element to go to.
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) overlay.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    overlay.hidden = true;
    // Only a drop says whether it is a folder; while it is dragged, browsers do not tell.
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry());
    const folders = entries.filter((entry) => entry !== null && entry.isDirectory) as FileSystemDirectoryEntry[];
    const isFolder = (file: File): boolean => folders.some(({ name }) => name === file.name);
    const picked = files(event.dataTransfer)
      .filter((file) => !isFolder(file))
      .map((file) => ({ blob: file, alt: file.name }));
    if (folders.length > 0) return intake()?.folders(folders, picked);
    const [first] = picked;
    if (!first) return;
    if (name.contains(event.target as Node)) intake()?.thing(first);
    else intake()?.photos(picked);
  });
  document.addEventListener("paste", (event) => {
    const picked = files(event.clipboardData).map((file) => ({ blob: file, alt: "pasted photo" }));
    const [first] = picked;
    const room = intake();
    if (!first || !room) return; // text goes where the cursor is
    event.preventDefault();
    if (document.activeElement?.closest(room.naming)) room.thing(first);
    else room.photos(picked);
  });
}
