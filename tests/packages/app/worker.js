// The app's own worker: creates NameLens inside itself and gives it photos in every form that a worker has.

import { NameLens } from "./namelens/dist/index.js";
import { failure, story } from "./story.js";

/** In full, because a script in a blob has no folder to count from. */
const photos = `${location.origin}/photos/`;
const scene = `${photos}scene.png`;

/** The photo as a picture, decoded. */
const bitmap = async (url) => createImageBitmap(await (await fetch(url)).blob());

/** The photo on a canvas of this worker. */
async function canvas(url) {
  const picture = await bitmap(url);
  const drawn = new OffscreenCanvas(picture.width, picture.height);
  drawn.getContext("2d").drawImage(picture, 0, 0);
  return drawn;
}

/** A GIF of one grey pixel: a format that only the browser decodes. */
const gif = Uint8Array.from(atob("R0lGODlhAQABAIAAAICAgAAAACwAAAAAAQABAAACAkQBADs="), (c) => c.charCodeAt(0));

/** Every form of a photo, and what came of it. */
async function forms() {
  const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory" });
  const name = await (await fetch(`${photos}name.txt`)).text();
  await lens.concepts.add({ name, photo: `${photos}thing.png` });
  const kinds = {
    address: new URL(scene).pathname,
    bitmap: await bitmap(scene),
    canvas: await canvas(scene),
    gif: new Blob([gif]),
    nonsense: "https://",
    closed: await bitmap(scene).then((picture) => (picture.close(), picture)),
  };
  const said = {};
  for (const [kind, photo] of Object.entries(kinds)) {
    said[kind] = await lens.caption(photo).then(({ text }) => text, (error) => failure(error).code);
  }
  await lens.dispose();
  return said;
}

const told = async (options) => story(NameLens, options, photos).catch(failure);

/** NameLens created in every way, and what each wrote or refused. */
const ways = async () => ({
  nested: await told({}),
  here: await told({ worker: false }),
  model: await told({ model: "/namelens/model/playroom/" }),
  nowhere: await told({ model: "https://" }),
  relative: await told({ model: "namelens/model/playroom/" }),
});

onmessage = async ({ data }) => postMessage(await (data === "forms" ? forms() : ways()).catch(failure));
