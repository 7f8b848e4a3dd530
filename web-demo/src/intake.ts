// The visitor's own photos: file picker, camera, drag and drop, paste.

import type { Picked } from "./album.js";
import { h } from "./dom.js";
import { showError } from "./notices.js";

/** "Your photo" and, where there is a camera, "Camera". */
export function ownPhotoButtons(purpose: string, onPick: (picked: Picked) => void): HTMLElement {
  const input = h("input", {
    type: "file",
    accept: "image/*",
    class: "hidden-visually",
    "aria-label": `Your own photo: ${purpose}`,
  });
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) onPick({ blob: file, alt: file.name });
    input.value = ""; // the same file may be chosen again
  });
  const camera = h("button", { type: "button", class: "pill", hidden: true, "aria-label": `Camera: ${purpose}` }, "Camera");
  camera.addEventListener("click", () => void takePhoto(onPick));
  void hasCamera().then((yes) => (camera.hidden = !yes));
  return h("div", { class: "own" }, h("label", { class: "pill" }, input, "Your photo"), camera);
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
    return showError(new Error(`The camera cannot be used (${why}). Allow it in the browser, or choose a file.`));
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

/** Drag and drop over the whole page (one half names, the other captions; a folder is a model) and paste. */
export function acceptDropsAndPaste(
  onThing: (picked: Picked) => void,
  onPhoto: (picked: Picked) => void,
  onFolder: (folder: FileSystemDirectoryEntry) => void,
): void {
  const zone = (title: string, text: string): HTMLElement =>
    h("div", { class: "drop-zone" }, h("strong", {}, title), h("span", {}, text));
  const name = zone("Name it", "Drop a photo of one thing");
  const caption = zone("Caption it", "Drop any photo");
  const overlay = h("div", { class: "drop", hidden: true, "aria-hidden": "true" }, name, caption);
  document.body.append(overlay);
  const files = (transfer: DataTransfer | null): File[] =>
    [...(transfer?.files ?? [])].filter((file) => file.size > 0 || file.type !== "");
  const dragsFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

  document.addEventListener("dragover", (event) => {
    if (!dragsFile(event)) return;
    event.preventDefault();
    overlay.hidden = false;
    name.classList.toggle("over", name.contains(event.target as Node));
    caption.classList.toggle("over", caption.contains(event.target as Node));
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
    const entry = event.dataTransfer?.items[0]?.webkitGetAsEntry();
    if (entry?.isDirectory) return onFolder(entry as FileSystemDirectoryEntry);
    const file = files(event.dataTransfer)[0];
    if (!file) return;
    const naming = name.contains(event.target as Node);
    (naming ? onThing : onPhoto)({ blob: file, alt: file.name });
  });
  document.addEventListener("paste", (event) => {
    const file = files(event.clipboardData)[0];
    if (!file) return; // text goes where the cursor is
    event.preventDefault();
    const naming = document.activeElement?.closest("#things") !== null && document.activeElement !== null;
    (naming ? onThing : onPhoto)({ blob: file, alt: "pasted photo" });
  });
}
