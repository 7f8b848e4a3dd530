// The room of the visitor's own photos: show a thing and name it, then find it in as many photos as there are.

import { albumStrip, fetchPhoto, readAlbum, type AlbumPhoto, type Picked } from "../album.js";
import { byId, h, stepTitle } from "../dom.js";
import { ownPhotoButtons, ownPhotosButtons, type Intake } from "../intake.js";
import { showError, showInfo } from "../notices.js";
import type { Session } from "../session.js";
import { startShelf } from "../shelf.js";
import type { Status } from "../status.js";
import { captionsCard } from "./captions.js";
import { photosIn, readsAsModel } from "./dropped-folder.js";
import { EnrolPanel } from "./enrol.js";
import { Wall } from "./wall.js";

type LoadModel = (folder: FileSystemDirectoryEntry) => void;

/** Most files that are named where some could not be read. */
const NAMED = 3;

/** Builds the room; returns what it does with drops. */
export async function startPhotosRoom(session: Session, status: Status, loadModel: LoadModel): Promise<Intake> {
  const wall = new Wall(session, (result) => void session.lens().then((lens) => status.finished(result, lens), () => undefined));
  const enrol = new EnrolPanel(session, () => byId("find").focus({ preventScroll: innerWidth > 960 }));
  startShelf(session, byId("photos-shelf"), "photos");
  watchThings(session, wall);
  const album = await readAlbum("./album/photos/");
  buildShow(album, enrol);
  buildFind(album, wall, session);
  byId("captions").replaceChildren(...captionsCard(session));
  byId("credits").textContent = creditsOf(album);
  return {
    zones: [
      ["Name it", "Drop a photo of one thing"],
      ["Find your things", "Drop any photos, or a folder of them"],
    ],
    naming: "#show",
    thing: (picked) => enrol.pick(picked),
    photos: (picked) => wall.add(picked),
    folders: (folders, beside) => void takeFolders(folders, beside, wall, loadModel).catch(showError),
  };
}

function buildShow(album: readonly AlbumPhoto[], enrol: EnrolPanel): void {
  const pick = (picked: Picked): void => enrol.pick(picked);
  const references = album.filter(({ role }) => role === "reference");
  byId("show").replaceChildren(
    stepTitle(1, "show-title", "Show it a thing, and name it"),
    albumStrip(references, "Things in the album", "Name this thing", pick, showError, () => enrol.close()),
    ownPhotoButtons("a thing to name", pick),
    enrol.element,
  );
}

function buildFind(album: readonly AlbumPhoto[], wall: Wall, session: Session): void {
  const again = h("button", { type: "button", class: "pill" }, "Look again");
  again.addEventListener("click", () => wall.again());
  session.listen({ concepts: (concepts) => (again.disabled = concepts.length === 0) });
  again.disabled = session.concepts.length === 0;
  const add = (picked: readonly Picked[]): void => {
    if (picked.length === 0) return showInfo("No photos there", "The folder holds no photos.");
    wall.add(picked);
  };
  byId("find").replaceChildren(
    stepTitle(2, "find-title", "Find it in your photos"),
    h("div", { class: "own" }, ...ownPhotosButtons("to look through", add), again),
    wall.element,
  );
  const scenes = album.filter(({ role }) => role === "scene");
  void Promise.all(scenes.map(fetchPhoto)).then((picked) => {
    wall.addSamples(picked);
    if (session.room === "photos" && session.concepts.length > 0) void wall.thingsChanged().catch(showError);
  }, showError);
}

/** Things that came, went or were renamed make what was found out of date. */
function watchThings(session: Session, wall: Wall): void {
  let before = "";
  session.listen({
    concepts: (concepts) => {
      if (session.room !== "photos") return wall.stop();
      const now = JSON.stringify(concepts.map(({ id, name, category, photos }) => [id, name, category, photos]));
      // The same things after a while in the other room: photos that came before they were known waited for them.
      if (now === before) return wall.goOn();
      before = now;
      void wall.thingsChanged().catch(showError);
    },
  });
}

async function takeFolders(folders: readonly FileSystemDirectoryEntry[], beside: readonly Picked[], wall: Wall, loadModel: LoadModel): Promise<void> {
  const [first] = folders;
  if (first && folders.length + beside.length === 1 && (await readsAsModel(first))) return loadModel(first);
  const { photos, unread } = await photosIn(folders);
  if (unread.length > 0) {
    const more = unread.length > NAMED ? ` and ${unread.length - NAMED} more` : "";
    showInfo("Not everything could be read", `${unread.slice(0, NAMED).join(", ")}${more}: the browser was not let in.`);
  }
  if (photos.length + beside.length === 0) showInfo("No photos there", `${folders.map(({ name }) => name).join(", ")}: no photos in there.`);
  wall.add([...beside, ...photos]);
}

/** Who took the photos of the album, each with what they show. */
function creditsOf(album: readonly AlbumPhoto[]): string {
  const people = [...new Set(album.map(({ credit }) => credit).filter((credit) => credit !== undefined))];
  const named = people.length > 1 ? `${people.slice(0, -1).join(", ")} and ${people.at(-1)}` : people.join("");
  return named ? `About the photos: those that came with the page are by ${named}, from Unsplash.` : "";
}
