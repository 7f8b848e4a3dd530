// The package `namelens`: what a page may import.

export { NameLens, type AvailabilityOptions, type CreateOptions } from "./namelens.js";
export { Adapters, type AdapterFiles } from "./adapters.js";
export { Chat, type Turn } from "./chat.js";
export { Concepts, type AddConcept, type BoxedPhoto, type EditConcept, type Photos } from "./concepts.js";
export type { Enrolment, EnrolmentWarning, Word } from "./enrolment.js";
export { NameLensError, type ErrorCode, type ErrorInfo } from "./errors.js";
export { Run } from "./run.js";
export type { EmbeddedModel } from "./place.js";
export type { ModelInput } from "./source.js";
export type { Opened } from "./protocol.js";
export type {
  Availability,
  Box,
  Concept,
  Device,
  Exchange,
  ImportedConcepts,
  ImportNotes,
  LikelyToken,
  LoadProgress,
  Location,
  Mention,
  ModelInfo,
  PhotoSource,
  Precision,
  Recognition,
  Retrieval,
  Retrieved,
  RunEvent,
  RunOptions,
  RunResult,
  Sampling,
  Timings,
  TokenCount,
  TokenLogprobs,
} from "./types.js";
