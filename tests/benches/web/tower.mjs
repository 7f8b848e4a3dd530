// Writes SigLIP-B/16-512's tower with random weights in f32 for ONNX Runtime: `node tower.mjs FILE`.
//
// Attention and GELU are the runtime's own fused operators, and queries, keys and values come out of one product: its best case.

import { writeFileSync } from "node:fs";
import { constant, model, node, value } from "./proto.mjs";
import { random } from "./random.mjs";
import { PATCHES, TOWER } from "./vision_shape.mjs";

const MICROSOFT = "com.microsoft";
const { hidden_size: wide, intermediate_size: inner, num_attention_heads: heads, patch_size: patch, image_size: side } = TOWER;
const parts = [];
const filled = (name, shape, number) => parts.push(constant(name, "float", shape, new Float32Array(shape.reduce((a, b) => a * b)).fill(number)));

function matrix(name, shape, fan) {
  const numbers = Float32Array.from(new Int8Array(random(shape.reduce((a, b) => a * b))), (byte) => (byte / 128) * Math.sqrt(3 / fan));
  parts.push(constant(name, "float", shape, numbers));
}

function linear(name, x, from, to) {
  matrix(`${name}.w`, [from, to], from);
  filled(`${name}.b`, [to], 0);
  parts.push(node("MatMul", [x, `${name}.w`], [`${name}.p`]), node("Add", [`${name}.p`, `${name}.b`], [name]));
  return name;
}

function normed(name, x) {
  parts.push(node("LayerNormalization", [x, "ones", "zeros"], [name], { axis: -1, epsilon: { float: TOWER.layer_norm_eps } }));
  return name;
}

function added(name, x, more) {
  parts.push(node("Add", [x, more], [name]));
  return name;
}

function layer(at, x) {
  const of = (what) => `${at}.${what}`;
  const qkv = linear(of("qkv"), normed(of("norm1"), x), wide, 3 * wide);
  parts.push(node("Split", [qkv], ["q", "k", "v"].map(of), { axis: -1, num_outputs: 3 }));
  parts.push(node("MultiHeadAttention", ["q", "k", "v"].map(of), [of("seen")], { num_heads: heads }, MICROSOFT));
  const between = added(of("between"), x, linear(of("out"), of("seen"), wide, wide));
  const up = linear(of("up"), normed(of("norm2"), between), wide, inner);
  parts.push(node("FastGelu", [up], [of("gelu")], {}, MICROSOFT));
  return added(of("after"), between, linear(of("down"), of("gelu"), inner, wide));
}

parts.push(value(11, "pixels", "float", [1, 3, side, side]));
filled("ones", [wide], 1);
filled("zeros", [wide], 0);
matrix("patches.w", [wide, 3, patch, patch], 3 * patch * patch);
matrix("places", [1, PATCHES, wide], 1);
parts.push(
  node("Conv", ["pixels", "patches.w", "zeros"], ["patches"], { strides: [patch, patch], kernel_shape: [patch, patch] }),
  constant("shape", "int64", [3], BigInt64Array.of(1n, BigInt(wide), BigInt(PATCHES))),
  node("Reshape", ["patches", "shape"], ["columns"]),
  node("Transpose", ["columns"], ["rows"], { perm: [0, 2, 1] }),
);
let x = added("embedded", "rows", "places");
for (let at = 0; at < TOWER.num_hidden_layers; at += 1) x = layer(at, x);
normed("seen", x);
parts.push(value(12, "seen", "float", [1, PATCHES, wide]));
writeFileSync(process.argv[2], model(parts));
