// The package `namelens`: what a page may import.

export { NameLens, type CreateOptions } from "./namelens.js";
export { Concepts, type AddConcept, type EditConcept } from "./concepts.js";
export { NameLensError, type ErrorCode, type ErrorInfo } from "./errors.js";
export { Run } from "./run.js";
export type { ModelInput } from "./source.js";
export type { Opened } from "./protocol.js";
export type {
  Box,
  Concept,
  Device,
  ImportedConcepts,
  ImportNotes,
  LoadProgress,
  Location,
  Mention,
  ModelInfo,
  PhotoSource,
  Recognition,
  Retrieval,
  Retrieved,
  RunEvent,
  RunOptions,
  RunResult,
  Sampling,
  Timings,
} from "./types.js";
