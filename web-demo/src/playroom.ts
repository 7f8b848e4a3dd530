// The room of drawn toys: an album, a shelf of named things, a photo with its caption and questions about it.

import { readAlbum } from "./album.js";
import { byId } from "./dom.js";
import type { Intake } from "./intake.js";
import { PhotoSection } from "./photo.js";
import type { Session } from "./session.js";
import { startShelf } from "./shelf.js";
import type { Status } from "./status.js";
import { startThings } from "./things.js";

/** Builds the room; returns what it does with drops. */
export async function startPlayroom(session: Session, status: Status, loadFolder: (folder: FileSystemDirectoryEntry) => void): Promise<Intake> {
  startShelf(session, byId("shelf"), "playroom");
  const album = await readAlbum("./album/");
  const nameThing = startThings(session, album);
  const photo = new PhotoSection(session, album, (result, lens) => status.finished(result, lens));
  return {
    zones: [
      ["Name it", "Drop a photo of one thing"],
      ["Caption it", "Drop any photo"],
    ],
    naming: "#things",
    thing: nameThing,
    photos: ([first]) => {
      if (first) void photo.show(first);
    },
    folders: ([folder]) => folder && loadFolder(folder),
  };
}
