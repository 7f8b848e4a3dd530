// Writes a folder of SmolVLM's shape with random weights: `node smolvlm.mjs FIXTURE FOLDER 256m`.
//
// All but numbers and sizes is the fixture's, a model of the same family that is a few hundred kilobytes large. Its tokenizer knows
// fewer words than the shape has: rows of the others are zero, so that they are never the likeliest, and so is the end's.

import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { random } from "./random.mjs";
import { PATCHES, SCALE, TEXTS, TOWER } from "./vision_shape.mjs";

const [fixture, folder, size] = process.argv.slice(2);
const TEXT = TEXTS[size];
mkdirSync(folder, { recursive: true });
for (const name of ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"]) copyFileSync(join(fixture, name), join(folder, name));
const edit = (name, change) => {
  const value = JSON.parse(readFileSync(join(fixture, name), "utf8"));
  const known = value.text_config?.vocab_size;
  change(value);
  writeFileSync(join(folder, name), JSON.stringify(value, null, 1));
  return { value, known };
};
const { value: config, known } = edit("config.json", (config) => {
  config.scale_factor = SCALE;
  Object.assign(config.text_config, TEXT);
  Object.assign(config.vision_config, TOWER);
});
edit("processor_config.json", (config) => {
  config.image_seq_len = PATCHES / SCALE ** 2;
  Object.assign(config.image_processor, { max_image_size: { longest_edge: TOWER.image_size }, size: { longest_edge: 4 * TOWER.image_size } });
});

/** Names and shapes; a vector is ones for a norm's weight and zeros for a bias. */
const tensors = [];
const linear = (name, outer, inner, bias) => {
  tensors.push([`${name}.weight`, [outer, inner]]);
  if (bias) tensors.push([`${name}.bias`, [outer]]);
};
const norm = (name, size, bias) => tensors.push([`${name}.weight`, [size]], ...(bias ? [[`${name}.bias`, [size]]] : []));

const vision = "model.vision_model";
const { hidden_size: wide, intermediate_size: inner, patch_size: patch } = TOWER;
tensors.push([`${vision}.embeddings.patch_embedding.weight`, [wide, 3, patch, patch]], [`${vision}.embeddings.patch_embedding.bias`, [wide]]);
tensors.push([`${vision}.embeddings.position_embedding.weight`, [PATCHES, wide]]);
for (let layer = 0; layer < TOWER.num_hidden_layers; layer += 1) {
  const at = `${vision}.encoder.layers.${layer}`;
  for (const name of ["q_proj", "k_proj", "v_proj", "out_proj"]) linear(`${at}.self_attn.${name}`, wide, wide, true);
  for (const name of ["layer_norm1", "layer_norm2"]) norm(`${at}.${name}`, wide, true);
  linear(`${at}.mlp.fc1`, inner, wide, true);
  linear(`${at}.mlp.fc2`, wide, inner, true);
}
norm(`${vision}.post_layernorm`, wide, true);
const { hidden_size: hidden, vocab_size: words } = TEXT;
linear("model.connector.modality_projection.proj", hidden, wide * SCALE ** 2, false);
tensors.push(["model.text_model.embed_tokens.weight", [words, hidden]]);
for (let layer = 0; layer < TEXT.num_hidden_layers; layer += 1) {
  const at = `model.text_model.layers.${layer}`;
  const keys = TEXT.num_key_value_heads * TEXT.head_dim;
  for (const name of ["q_proj", "o_proj"]) linear(`${at}.self_attn.${name}`, hidden, hidden, false);
  for (const name of ["k_proj", "v_proj"]) linear(`${at}.self_attn.${name}`, keys, hidden, false);
  for (const name of ["gate_proj", "up_proj"]) linear(`${at}.mlp.${name}`, TEXT.intermediate_size, hidden, false);
  linear(`${at}.mlp.down_proj`, hidden, TEXT.intermediate_size, false);
  for (const name of ["input_layernorm", "post_attention_layernorm"]) norm(`${at}.${name}`, hidden, false);
}
norm("model.text_model.norm", hidden, false);

/** Evenly spread numbers of standard deviation 1, as the upper halves of 32-bit floats. */
const spread = Float32Array.from(new Int8Array(random(1 << 18)), (byte) => (byte / 128) * Math.sqrt(3));

function numbers(name, shape) {
  const count = shape.reduce((a, b) => a * b);
  const out = new Uint16Array(count);
  if (shape.length === 1) return name.endsWith("bias") ? out : out.fill(0x3f80);
  const scaled = spread.map((value) => value / Math.sqrt(count / shape[0]));
  const halves = Uint16Array.from(new Uint32Array(scaled.buffer), (bits) => bits >>> 16);
  const used = name.endsWith("embed_tokens.weight") ? known * shape[1] : count;
  for (let at = 0; at < used; at += halves.length) out.set(halves.subarray(0, Math.min(halves.length, used - at)), at);
  if (used < count) out.fill(0, config.text_config.eos_token_id * shape[1], (config.text_config.eos_token_id + 1) * shape[1]);
  return out;
}

let end = 0;
const header = {};
for (const [name, shape] of tensors) {
  const start = end;
  end += 2 * shape.reduce((a, b) => a * b);
  header[name] = { dtype: "BF16", shape, data_offsets: [start, end] };
}
const head = Buffer.from(JSON.stringify(header));
const length = Buffer.alloc(8);
length.writeBigUInt64LE(BigInt(head.length));
const file = openSync(join(folder, "model.safetensors"), "w");
for (const part of [length, head]) writeSync(file, part);
for (const [name, shape] of tensors) writeSync(file, numbers(name, shape));
closeSync(file);
