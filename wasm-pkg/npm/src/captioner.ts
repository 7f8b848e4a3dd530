// What may write captions for photographs: never a model that was trained on drawings.

import { NameLensError } from "./errors.js";

/** The error of a captioner that was trained on drawings. */
export function playroomRefused(name: string): NameLensError {
  const hint = "Take a captioner that was trained on photographs, or open the Playroom's model alone: { model: \"playroom\" }.";
  return new NameLensError("option", `captioner: ${name} knows drawn toys only and would see them in every photograph`, { hint });
}

/** Whether a model's card (`model.json`) says that it is one of those. */
export const knowsOnlyPlayroom = (card: string): boolean => /\bPlayroom\b/.test(card);
