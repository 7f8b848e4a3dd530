// Text with names in it, as it streams: every name a tag in its own colour.

import type { Mention } from "namelens";
import { colorOf } from "./colors.js";
import { h } from "./dom.js";

/** Puts `text` into `place`, its names as tags; `onPoint` hears which name is pointed at. */
export function renderNamed(
  place: HTMLElement,
  text: string,
  mentions: readonly Mention[],
  onPoint: (id: string | null) => void,
): void {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const mention of [...mentions].sort((a, b) => a.start - b.start)) {
    if (mention.start < end || mention.end > text.length) continue; // overlapping spans: the first one counts
    parts.push(text.slice(end, mention.start), nameTag(mention, text.slice(mention.start, mention.end), onPoint));
    end = mention.end;
  }
  parts.push(text.slice(end));
  place.replaceChildren(...parts.filter((part) => part !== ""));
}

function nameTag({ id, confidence, box }: Mention, shown: string, onPoint: (id: string | null) => void): HTMLElement {
  const sure = `${Math.round(confidence * 100)} % sure`;
  const tag = h(
    "mark",
    { class: `tag ${colorOf(id)}`, "data-id": id, dir: "auto", title: box ? `${sure}; boxed on the photo` : sure },
    shown,
  );
  tag.addEventListener("pointerenter", () => onPoint(id));
  tag.addEventListener("pointerleave", () => onPoint(null));
  return tag;
}
