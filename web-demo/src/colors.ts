// Which colour belongs to which name: the same in the caption, on the photo and on the shelf.

import type { Concept } from "namelens";

/** As many as the classes `c0`, `c1`, ... in styles/colors.css; each carries white text at 4.5:1 or better. */
const COLORS = 8;

/** The colours of each room; their things may have the same ids. */
const rooms = new Map<string, Map<string, number>>();
let given = new Map<string, number>();

/** Gives every concept of a room a colour for as long as it exists, the least used one first; that room's count from now on. */
export function assignColors(concepts: readonly Concept[], room: string): void {
  given = rooms.get(room) ?? new Map<string, number>();
  rooms.set(room, given);
  const ids = new Set(concepts.map(({ id }) => id));
  for (const id of given.keys()) if (!ids.has(id)) given.delete(id);
  for (const id of ids) {
    if (given.has(id)) continue;
    const uses = Array.from({ length: COLORS }, () => 0);
    for (const color of given.values()) uses[color] = (uses[color] ?? 0) + 1;
    given.set(id, uses.indexOf(Math.min(...uses)));
  }
}

/** The CSS class of a concept's colour. */
export function colorOf(id: string): string {
  return `c${given.get(id) ?? 0}`;
}
