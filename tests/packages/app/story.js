// The story that every app tells: one thing gets a name, one photo a caption; how it ended stands in the page.

/** Names the thing, captions the scene, and gives what was written. `photos` is the address of the folder with both. */
export async function story(NameLens, options, photos = "photos/") {
  const lens = await NameLens.create({ model: "playroom", device: "cpu", storage: "memory", ...options });
  try {
    const name = await (await fetch(`${photos}name.txt`)).text();
    await lens.concepts.add({ name, photo: `${photos}thing.png` });
    const { text } = await lens.caption(`${photos}scene.png`);
    return options.threads === undefined ? { text } : { text, threads: lens.info.threads };
  } finally {
    await lens.dispose();
  }
}

/** Whatever was thrown, as plain data. */
export const failure = (error) => ({
  code: String(error?.code),
  message: String(error?.message ?? error),
  hint: String(error?.hint),
});

/** Tells the story with the options in the page's address, `?{"worker":false}`, and shows how it ended. */
export async function tell(NameLens) {
  let outcome;
  try {
    const options = JSON.parse(decodeURIComponent(location.search.slice(1)) || "{}");
    outcome = await story(NameLens, options);
  } catch (error) {
    outcome = failure(error);
  }
  document.body.dataset.outcome = JSON.stringify(outcome);
}
