// The public vocabulary: what goes into a run and what comes out of it.

import type { ErrorInfo } from "./errors.js";

/** A rectangle `[x0, y0, x1, y1]` in fractions (0..1) of the photo as it is shown, EXIF turn applied. */
export type Box = readonly [x0: number, y0: number, x1: number, y1: number];

/** Anything that can be read as a photo. A string or `URL` must be on the page's own origin or allow CORS. */
export type PhotoSource =
  | Blob
  | ArrayBuffer
  | Uint8Array
  | ImageBitmap
  | HTMLImageElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | URL
  | string;

/** One place in the text where a concept is named. */
export interface Mention {
  /** The concept's id. */
  readonly id: string;
  /** The concept's name at the time of the run. */
  readonly name: string;
  /** First UTF-16 code unit of the name in the text. */
  readonly start: number;
  /** One past the last UTF-16 code unit. */
  readonly end: number;
  /** Where the thing is in the photo, if that is known. */
  readonly box: Box | null;
  /** How sure it is that the thing is there, 0..1. */
  readonly confidence: number;
}

/** A concept that was put before the model for this photo, and why. */
export interface Retrieved {
  readonly id: string;
  readonly name: string;
  /** Similarity of the best region of the photo with the concept's photos. */
  readonly score: number;
  /** The score from which a region counts as the concept. */
  readonly threshold: number;
  /** How sure it is that the thing is there, 0..1; null where the retriever knows similarities only. */
  readonly confidence: number | null;
  /** `named`: the question names it; `similar`: a region looks like it; `listed` and `all`: you asked for it. */
  readonly reason: "named" | "similar" | "listed" | "all";
  readonly box: Box | null;
  /** Where more of the kind are: two of one mug look the same. Empty where there is one, or none. */
  readonly moreBoxes: readonly Box[];
}

/** Where the milliseconds went. */
export interface Timings {
  readonly decodeMs: number;
  readonly visionMs: number;
  readonly retrieveMs: number;
  readonly prefillMs: number;
  readonly generateMs: number;
  readonly totalMs: number;
  readonly tokensPerSecond: number;
}

/** A token and how likely it was. */
export interface LikelyToken {
  readonly id: number;
  /** Its text; a token that is part of a character has none of its own, and stands as U+FFFD. */
  readonly token: string;
  /** Natural logarithm of its probability by the model itself: before temperature, filters, penalties and names. */
  readonly logprob: number;
}

/** A token of the text, and the likeliest ones in its place. */
export interface TokenLogprobs extends LikelyToken {
  /** Likeliest first. Where names are held to known ones, or tokens are drawn, what was written need not be among them. */
  readonly topLogprobs: readonly LikelyToken[];
}

/** What a run ends with. */
export interface RunResult {
  readonly text: string;
  /**
   * Who wrote the text: a captioner, or, where the model has none, plain sentences made of what was recognised: "Miso (tabby cat) is on
   * the left, 97 % sure. Perhaps Bo is on the right, 60 % sure." Such a text is whole at once and draws on nothing else.
   */
  readonly source: "captioner" | "recognition";
  readonly mentions: readonly Mention[];
  readonly retrieved: readonly Retrieved[];
  /** `recognize` only: is it in the photo? `null` when the captioner said neither yes nor no, and for everything else. */
  readonly answer?: boolean | null;
  /** `locate` only: where it is, or `null` when it is not there. */
  readonly box?: Box | null;
  /**
   * 0..1. Of a captioner: how likely the words of its answer were to it, on average. Of a text made of what was recognised: how likely it is
   * that the least sure thing in it is there, also where `answer` is `false` because that was not sure enough.
   */
  readonly confidence?: number;
  /** The model declined: the thing is not in the photo (`absent`), or it knows no such name (`unknown`). */
  readonly refused?: "absent" | "unknown" | null;
  /** `length` means that `maxTokens` cut the text off. */
  readonly finish: "stop" | "length";
  /** The seed the text was drawn with: given as `sampling.seed`, it gives the same text. `null` when nothing was drawn. */
  readonly seed?: number | null;
  /** Token by token, where `topLogprobs` asked for it and a captioner wrote the text; the end of the turn is none of them. */
  readonly logprobs?: readonly TokenLogprobs[];
  readonly timings: Timings;
  /** `reused`: tokens of the prompt that were not read again, because the run before began with them. */
  readonly tokens: { readonly prompt: number; readonly generated: number; readonly reused?: number };
  /** The text as the model wrote it, names in angle brackets. */
  readonly raw: string;
}

/** Result of {@link NameLens.recognize}. */
export type Recognition = RunResult & { readonly answer: boolean | null };
/** Result of {@link NameLens.locate}. */
export type Location = RunResult & { readonly box: Box | null };

/** What a run says while it works. */
export type RunEvent =
  | {
      readonly type: "stage";
      readonly stage: "decode" | "vision" | "retrieve" | "prefill" | "generate" | "locate";
      readonly done: number;
      readonly total: number;
    }
  | { readonly type: "retrieved"; readonly concepts: readonly Retrieved[] }
  | {
      readonly type: "text";
      /** What was added. */
      readonly delta: string;
      /** All of the text so far. */
      readonly text: string;
      /** Spans in UTF-16 code units of `text`. */
      readonly mentions: readonly Mention[];
    };

/**
 * How the next token is chosen. Each option given counts; each left out is as the checkpoint's `generation_config.json` says,
 * and where that is silent as written here.
 */
export interface Sampling {
  /** 0 takes the likeliest token, whatever the file says; above 0 tokens are drawn. Default: 0. */
  readonly temperature?: number | undefined;
  /** Draw from the k likeliest only; 0: from all. Default: 50. */
  readonly topK?: number | undefined;
  /** Draw from the likeliest that have this much probability in all. Default: 1. */
  readonly topP?: number | undefined;
  /** Draw from tokens at least this fraction as likely as the likeliest. Default: 0. */
  readonly minP?: number | undefined;
  /** Above 1: tokens of the prompt or the answer so far become less likely. Default: 1. */
  readonly repetitionPenalty?: number | undefined;
  /** The same seed gives the same text. Default: a fresh one for every answer; the result tells it. */
  readonly seed?: number | undefined;
}

/** Which concepts are put before the model. */
export type Retrieval = "auto" | "all" | "off" | { readonly ids: readonly string[] };

/** What the engine is asked to do with a photo. */
export interface Request extends Omit<RunOptions, "signal" | "onEvent" | "onToken"> {
  readonly kind: "caption" | "ask" | "recognize" | "locate";
  readonly question?: string | undefined;
  /** Id or name, for `recognize` and `locate`. */
  readonly concept?: string | undefined;
  /** What was asked and answered about the photo before; an answer is the `raw` text of its result. */
  readonly earlier?: readonly Exchange[] | undefined;
}

/** A question about a photo and its answer. */
export interface Exchange {
  readonly question: string;
  /** The `raw` text of the answer. */
  readonly answer: string;
}

/** Options of every run. */
export interface RunOptions {
  readonly retrieval?: Retrieval | undefined;
  /** Whether the captioner hears where each concept was found; `false` lets it recognise things unaided. */
  readonly hints?: boolean | undefined;
  /**
   * Whether a large photo is cut into tiles that are looked at one by one: more detail for more tokens. Left out: as the checkpoint
   * says. Families that take photos of any shape never cut them.
   */
  readonly splitting?: boolean | undefined;
  readonly sampling?: Sampling | undefined;
  readonly maxTokens?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  /** How many of the likeliest tokens the result tells with each token that was written, 0 to 20. Left out: it tells of no tokens. */
  readonly topLogprobs?: number | undefined;
  /** Ends the run at any moment, also in the middle of encoding the photo. */
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: RunEvent) => void) | undefined;
  /** Called with every piece of text as it arrives. */
  readonly onToken?: ((delta: string, text: string) => void) | undefined;
}

/** A concept without its photos. */
export interface Concept {
  readonly id: string;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly category: string;
  readonly info: string;
  /** How many reference photos it has. */
  readonly photos: number;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** What an import says beside the concepts. */
export interface ImportNotes {
  /** Names that were taken: what the file calls the thing, what it is called now. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** What was left out, one an entry of the file; the rest was imported. */
  readonly problems: readonly ErrorInfo[];
}

/** The concepts that came with an import, in the order of the file, and what there is to say about it. */
export type ImportedConcepts = readonly Concept[] & ImportNotes;

/** A concept as it is kept: with the encoded photos and their embeddings. */
export interface StoredConcept {
  readonly id: string;
  readonly version: number;
  readonly name: string;
  readonly aliases: readonly string[];
  readonly category: string;
  readonly info: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly photos: readonly {
    readonly bytes: Uint8Array;
    /** Where the thing is in it, if somebody said. */
    readonly box?: Box;
    /** Of one embedding or more, one behind the other. */
    readonly embedding: Float32Array;
    /** Numbers in one of them; all where it is absent. */
    readonly dim?: number;
    readonly encoder: string;
    /** What further encoders made of it, where the model has several. */
    readonly others?: readonly { readonly embedding: Float32Array; readonly dim?: number; readonly encoder: string }[];
  }[];
}

/** What loading is busy with. `total` is 0 while it is not known. */
export interface LoadProgress {
  /** `engine`: the WebAssembly; `download`: the model; `verify`: its digests; the rest comes from the engine. */
  readonly stage: string;
  /** Bytes for the stages named above. */
  readonly done: number;
  readonly total: number;
  /** The file that moved on, in `download` and `verify`. */
  readonly file?: string;
}

/** How many tokens a prompt has. */
export interface TokenCount {
  /** Of the whole prompt. */
  readonly prompt: number;
  /** Those of them that stand for the photo and for the reference photos. */
  readonly visual: number;
  /** How many the model can hold, with the answer. */
  readonly limit: number;
}

/**
 * How matrices are held in memory. `stored`: blocks of GGUF files as they are, everything else as 32-bit numbers. `q8_0`: all that can
 * be in blocks of 8-bit numbers, about a quarter of the memory, for next to no loss. `q4_1`: 4 bits and an offset for each 32 weights,
 * embeddings in 8. `q4_0`: the same without offsets, which costs more of what the model knows. What is in blocks already stays as it
 * is. `auto`: `q8_0` for files of more than 100 MB, whose 32-bit numbers would take a page's memory, `stored` for smaller ones.
 */
export type Precision = "auto" | "stored" | "q8_0" | "q4_1" | "q4_0";

/** What can run here, and what a model would take, before any of it is fetched. */
export interface Availability {
  /** Where a model would run. */
  readonly device: Device;
  /** Why that is not WebGPU. */
  readonly fallback: string | null;
  /** Gigabytes of memory the machine has, rounded by the browser; null where it does not say. */
  readonly deviceMemory: number | null;
  /** Bytes that may still be kept on disk; null where the browser does not say. */
  readonly freeStorage: number | null;
  readonly model: {
    readonly name: string;
    /** Whether it would write captions. What only recognises things is a `model`, and no `captioner`. */
    readonly captions: boolean;
    /** Bytes of all its files; null where the server does not say. */
    readonly bytes: number | null;
    /** Bytes that are here already. */
    readonly keptBytes: number;
    /** Whether nothing needs to be fetched. */
    readonly kept: boolean;
    readonly files: readonly { readonly name: string; readonly bytes: number | null; readonly kept: boolean }[];
  };
}

/** Where the model runs. */
export type Device = "webgpu" | "cpu";

/** What was loaded, and where it runs. */
export interface ModelInfo {
  readonly name: string;
  /** Whether it writes captions. Without a captioner answers are facts; see {@link RunResult.source}. */
  readonly captions: boolean;
  /** Whether photos can be shown to it: false where its captioner reads text only, and `ask(null, question)` is all it answers. */
  readonly seesPhotos: boolean;
  /** What its configuration calls the family of the captioner, such as `smolvlm` or `qwen2_5_vl`; empty without one. */
  readonly family: string;
  readonly parameters: number;
  readonly bytes: number;
  /** Tokens. */
  readonly contextLength: number;
  /** Pixels of the square the vision tower sees; null where every photo keeps its shape. */
  readonly imageSide: number | null;
  /** What the checkpoint's `generation_config.json` sets, a line each. */
  readonly generation: readonly string[];
  /** The device in words. */
  readonly device: string;
  /** What the model knows: `photos`, or a sentence on what it was trained on; empty where it does not say. */
  readonly knows: string;
}
