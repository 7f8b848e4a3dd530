// The two rooms of the page: which one is open, said by the address, and built when it is opened first.

import { announce } from "./announce.js";
import { byId, h } from "./dom.js";
import type { Intake } from "./intake.js";
import { clearNotices } from "./notices.js";
import type { Room, Session } from "./session.js";
import { wishedDevice } from "./status.js";

/** What each room is called, and where the link past everything else leads. */
const ROOMS: Record<Room, { readonly title: string; readonly skip: string }> = {
  photos: { title: "Your photos", skip: "#find" },
  playroom: { title: "Playroom", skip: "#photo" },
};
const NAMES = Object.keys(ROOMS) as Room[];

/** Shows the room that is open, with links to both. Returns what takes in drops there; null while it is being built. */
export function startRooms(session: Session, build: Record<Room, () => Promise<Intake>>): () => Intake | null {
  const built = new Map<Room, Promise<Intake>>();
  const ready = new Map<Room, Intake>();
  const links = new Map(NAMES.map((room) => [room, h("a", { href: addressOf(room) }, ROOMS[room].title)]));
  byId("rooms").replaceChildren(...links.values());

  const show = (): void => {
    const { room } = session;
    for (const part of document.querySelectorAll<HTMLElement>("[data-room]")) part.hidden = part.dataset.room !== room;
    for (const [name, link] of links) {
      if (name === room) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    document.querySelector(".skip")?.setAttribute("href", ROOMS[room].skip);
    if (built.has(room)) return;
    const building = build[room]();
    built.set(room, building);
    void building.then((intake) => ready.set(room, intake));
  };
  const open = (room: Room): void => {
    if (room === session.room) return;
    clearNotices();
    const entering = session.enter(room, wishedDevice());
    show();
    announce(`${ROOMS[room].title} is open`);
    void entering;
  };
  for (const [room, link] of links) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab is asked for
      event.preventDefault();
      if (room !== session.room) history.pushState(null, "", addressOf(room));
      open(room);
    });
  }
  // Followed, it would take the place of the model in the address.
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    byId(ROOMS[session.room].skip.slice(1)).focus();
  });
  addEventListener("popstate", () => open(roomOf(location.href)));
  show();
  return () => ready.get(session.room) ?? null;
}

/** The page's address with that room open; a model that it names belongs to the room it was opened with. */
function addressOf(room: Room): string {
  const url = new URL(location.href);
  url.searchParams.delete("room");
  if (room !== "photos") url.searchParams.set("room", room);
  return url.href;
}

const roomOf = (address: string): Room => (new URL(address).searchParams.get("room") === "playroom" ? "playroom" : "photos");
