// The shapes of SmolVLM-256M and 500M: SigLIP-B/16 at 512 x 512 before the decoder of SmolLM2-135M, or before that of SmolLM2-360M.

import { HEAD, HEADS, HIDDEN, INNER, KV_HEADS, LAYERS } from "./shape.mjs";

export const TOWER = { hidden_size: 768, intermediate_size: 3072, num_attention_heads: 12, num_hidden_layers: 12, image_size: 512, patch_size: 16, layer_norm_eps: 1e-6 };
/** Patches of one tile. */
export const PATCHES = (TOWER.image_size / TOWER.patch_size) ** 2;
/** Patches of a side that become one token of the decoder. */
export const SCALE = 4;
const text = (hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads) => ({
  hidden_size,
  intermediate_size,
  num_hidden_layers,
  num_attention_heads,
  num_key_value_heads,
  head_dim: HEAD,
  vocab_size: 49_280,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_parameters: { rope_type: "default", rope_theta: 100_000 },
});
/** Decoders by their model's size. */
export const TEXTS = { "256m": text(HIDDEN, INNER, LAYERS, HEADS, KV_HEADS), "500m": text(960, 2560, 32, 15, 5) };
