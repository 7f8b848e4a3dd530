// The page: one session, and the two rooms that share it, put together here.

import { startAbout } from "./about.js";
import { confineWorkers } from "./confined.js";
import { startFolder } from "./folder.js";
import { acceptDropsAndPaste } from "./intake.js";
import { showLoading } from "./loading.js";
import { showError, showInfo } from "./notices.js";
import { startPhotosRoom } from "./photos/room.js";
import { startPlayroom } from "./playroom.js";
import { startRooms } from "./rooms.js";
import { Session } from "./session.js";
import { Status, wishedDevice } from "./status.js";
import { startTheme } from "./theme.js";

// Before the first worker starts: the engine's sees photos.
confineWorkers();
startTheme();
const session = new Session();
const status = new Status(session);
showLoading(session);
session.listen({
  ready: ({ info }) => {
    for (const problem of info.problems) showInfo("Not everything could be restored", problem.message);
  },
});
// What no part of the page foresaw is still said; the page goes on.
addEventListener("unhandledrejection", ({ reason }) => showError(reason));

// The model loads while the room is built, which is a task of its own: between both the page is shown, and hears of presses.
void session.start(wishedDevice());
await new Promise((resolve) => setTimeout(resolve));
startAbout(session);
const loadFolder = startFolder(session);
const intake = startRooms(session, {
  photos: () => startPhotosRoom(session, status, loadFolder),
  playroom: () => startPlayroom(session, status, loadFolder),
});
acceptDropsAndPaste(intake);
