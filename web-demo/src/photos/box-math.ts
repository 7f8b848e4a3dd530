// Boxes in fractions of a photo: moved, resized and drawn, never out of the photo and never too small to be held.

import type { Box } from "namelens";

/** Which sides follow the pointer: -1 the left or upper one, 1 the right or lower one, 0 neither. */
export interface Sides {
  readonly x: -1 | 0 | 1;
  readonly y: -1 | 0 | 1;
}

/** The handles, clockwise from the upper left corner. */
export const HANDLES: readonly Sides[] = [
  { x: -1, y: -1 },
  { x: 0, y: -1 },
  { x: 1, y: -1 },
  { x: 1, y: 0 },
  { x: 1, y: 1 },
  { x: 0, y: 1 },
  { x: -1, y: 1 },
  { x: -1, y: 0 },
];

/** The shortest side of a box. */
const LEAST = 0.04;

const between = (low: number, value: number, high: number): number => Math.min(Math.max(value, low), high);

/** The box, moved; it stops at the edges of the photo. */
export function moved([left, top, right, bottom]: Box, dx: number, dy: number): Box {
  const x = between(-left, dx, 1 - right);
  const y = between(-top, dy, 1 - bottom);
  return [left + x, top + y, right + x, bottom + y];
}

/** The box with those sides moved. */
export function resized([left, top, right, bottom]: Box, sides: Sides, dx: number, dy: number): Box {
  return [
    sides.x < 0 ? between(0, left + dx, right - LEAST) : left,
    sides.y < 0 ? between(0, top + dy, bottom - LEAST) : top,
    sides.x > 0 ? between(left + LEAST, right + dx, 1) : right,
    sides.y > 0 ? between(top + LEAST, bottom + dy, 1) : bottom,
  ];
}

/** The box between two points. */
export function drawn([x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): Box {
  const span = (one: number, other: number): [number, number] => {
    const low = between(0, Math.min(one, other), 1 - LEAST);
    return [low, between(low + LEAST, Math.max(one, other), 1)];
  };
  const [[left, right], [top, bottom]] = [span(x0, x1), span(y0, y1)];
  return [left, top, right, bottom];
}

/** A box as a screen reader says it. */
export function boxWords([left, top, right, bottom]: Box): string {
  const percent = (part: number): string => `${Math.round(part * 100)} %`;
  const size = `${percent(right - left)} wide and ${percent(bottom - top)} high`;
  return `${percent(left)} from the left, ${percent(top)} from the top, ${size}`;
}
