// The page: an album, a shelf of named things, a photo with its caption; put together here.

import { startAbout } from "./about.js";
import { readAlbum } from "./album.js";
import { confineWorkers } from "./confined.js";
import { startFolder } from "./folder.js";
import { acceptDropsAndPaste } from "./intake.js";
import { showLoading } from "./loading.js";
import { showError, showInfo } from "./notices.js";
import { PhotoSection } from "./photo.js";
import { Session } from "./session.js";
import { startShelf } from "./shelf.js";
import { Status, wishedDevice } from "./status.js";
import { startTheme } from "./theme.js";
import { startThings } from "./things.js";

// Before the first worker starts: the engine's sees photos.
confineWorkers();
startTheme();
const session = new Session();
const status = new Status(session);
showLoading(session);
startAbout(session);
const loadFolder = startFolder(session);
startShelf(session);
session.listen({
  ready: ({ info }) => {
    for (const problem of info.problems) showInfo("Not everything could be restored", problem.message);
  },
});
// What no part of the page foresaw is still said; the page goes on.
addEventListener("unhandledrejection", ({ reason }) => showError(reason));

// The model loads while the album is read.
void session.start(wishedDevice());
const album = await readAlbum();
const nameThing = startThings(session, album);
const photos = new PhotoSection(session, album, (result, lens) => status.finished(result, lens));
acceptDropsAndPaste(nameThing, (picked) => void photos.show(picked), loadFolder);
