// The shape of SmolLM2-135M's decoder, which the peers' models of random weights have.

export const HIDDEN = 576;
export const LAYERS = 30;
export const HEADS = 9;
export const KV_HEADS = 3;
export const HEAD = 64;
export const INNER = 1536;
export const VOCABULARY = 49_152;
export const CONTEXT = 1024;
export const ROPE_THETA = 100_000;
export const EPSILON = 1e-5;
