// The checkpoints on offer: facts of each as its page on the hub tells them, and what one photo costs it.

/** A published checkpoint. */
export interface CatalogueEntry {
  readonly id: string;
  readonly name: string;
  /** One plain sentence. */
  readonly sentence: string;
  readonly licence: string;
  readonly parameters: number;
  /** Bytes of its files, about; the exact figure is looked up before anything is fetched. */
  readonly bytes: number;
  /** What one photo of a common size takes: parameters and patches of the part that sees, parameters and tokens of the part that writes. */
  readonly work: Work;
}

/** The multiplications of a caption come from these: each parameter once a token, each byte of weights once a word. */
export interface Work {
  readonly vision: number;
  readonly patches: number;
  readonly text: number;
  readonly prompt: number;
}

// SmolVLM cuts a photo into up to 16 tiles and adds the whole as one more: 17 pictures of 512 (2.2B: 384) pixels. Of each
// come 1,024 (729) patches, and 64 (81) tokens. Qwen takes the photo as it is: 1,300 tokens of four patches for a megapixel.
const SMALL = { patches: 17 * 1024, prompt: 17 * 64 + 110 };
const QWEN = { patches: 5200, prompt: 1400 };
const APACHE = "Apache 2.0";

export const CATALOGUE: readonly CatalogueEntry[] = [
  {
    id: "HuggingFaceTB/SmolVLM-256M-Instruct",
    name: "SmolVLM 256M",
    sentence: "The smallest: short captions of everyday photos, and the one to begin with.",
    licence: APACHE,
    parameters: 256e6,
    bytes: 517e6,
    work: { ...SMALL, vision: 93e6, text: 163e6 },
  },
  {
    id: "HuggingFaceTB/SmolVLM-500M-Instruct",
    name: "SmolVLM 500M",
    sentence: "Twice the size of the smallest; sees more, and is right more often.",
    licence: APACHE,
    parameters: 507e6,
    bytes: 1.02e9,
    work: { ...SMALL, vision: 93e6, text: 409e6 },
  },
  {
    id: "HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
    name: "SmolVLM2 256M",
    sentence: "A later training of the smallest; its file has more digits than needed, so it is twice as large.",
    licence: APACHE,
    parameters: 256e6,
    bytes: 1.03e9,
    work: { ...SMALL, vision: 93e6, text: 163e6 },
  },
  {
    id: "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
    name: "SmolVLM2 500M",
    sentence: "A later training of SmolVLM 500M, on videos as well as photos.",
    licence: APACHE,
    parameters: 507e6,
    bytes: 2.04e9,
    work: { ...SMALL, vision: 93e6, text: 409e6 },
  },
  {
    id: "Qwen/Qwen3-VL-2B-Instruct",
    name: "Qwen3-VL 2B",
    sentence: "Detailed captions, reads text in photos, and answers in many languages.",
    licence: APACHE,
    parameters: 2.13e9,
    bytes: 4.27e9,
    work: { ...QWEN, vision: 0.41e9, text: 1.72e9 },
  },
  {
    id: "Qwen/Qwen2.5-VL-3B-Instruct",
    name: "Qwen2.5-VL 3B",
    sentence: "Detailed captions, and knows where things are; for research and private use only.",
    licence: "Qwen Research (non-commercial)",
    parameters: 3.75e9,
    bytes: 7.52e9,
    work: { ...QWEN, vision: 0.67e9, text: 3.09e9 },
  },
  {
    id: "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    name: "SmolVLM2 2.2B",
    sentence: "The largest of its family: careful captions, for a computer with much memory.",
    licence: APACHE,
    parameters: 2.25e9,
    bytes: 9e9,
    work: { patches: 17 * 729, prompt: 17 * 81 + 110, vision: 0.43e9, text: 1.81e9 },
  },
];
