// Before a thing is named: what a photo of it shows, and what makes the photo a poor one.

import type { Box } from "./types.js";

/** A word for what a thing looks like. */
export interface Word {
  readonly word: string;
  /** How much speaks for it, 0..1. */
  readonly share: number;
}

/**
 * Why a photo shows a thing poorly. `flat`: it is of one colour; `dark`: hardly anything can be seen; `small`: the thing has few pixels,
 * `pixels` along its shorter side; `known`: it looks like a thing that has a name already.
 */
export type EnrolmentWarning =
  | { readonly code: "flat" }
  | { readonly code: "dark" }
  | { readonly code: "small"; readonly pixels: number }
  | { readonly code: "known"; readonly id: string; readonly name: string };

/** What a photo of a thing shows, before the thing is named. */
export interface Enrolment {
  /** Where the thing is: as it was given, or what stands out in the photo. */
  readonly box: Box;
  /** What it looks like, likeliest first; none where the model knows no words for things. */
  readonly words: readonly Word[];
  /** Worst first. The photo can be used all the same. */
  readonly warnings: readonly EnrolmentWarning[];
}
