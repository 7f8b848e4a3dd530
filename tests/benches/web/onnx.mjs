// Writes a decoder of SmolLM2-135M's shape with random weights for ONNX Runtime: `node onnx.mjs ort-q4|ort-q4i8|ort-q8 FILE`.
//
// The graph is the one that the runtime's own tools make of such a model: grouped attention with a cache and rotation inside, norms
// fused with sums, and each matrix either 4 bits in blocks of 32 (`MatMulNBits`) or 8 bits with activations quantised as they come
// (`quantize_dynamic`). Favours to the peer: the queries', keys' and values' matrices are one, and the head sees the last token only.

import { writeFileSync } from "node:fs";
import { constant, model, node, value } from "./proto.mjs";
import { random } from "./random.mjs";
import { CONTEXT, EPSILON, HEAD, HEADS, HIDDEN, INNER, KV_HEADS, LAYERS, ROPE_THETA, VOCABULARY } from "./shape.mjs";

const BLOCK = 32;
const MICROSOFT = "com.microsoft";
const [kind, file] = process.argv.slice(2);
const parts = [];

/** `x` times a matrix that keeps its size about: the standard deviation of evenly spread codes is their number over √12. */
function product(name, x, [inner, outer]) {
  if (kind === "ort-q8") return dynamic(name, x, [inner, outer]);
  if (kind !== "ort-q4" && kind !== "ort-q4i8") throw new Error(`no decoder is called \`${kind}\``);
  const scale = Math.sqrt(12 / inner) / 16;
  parts.push(
    constant(`${name}.w`, "uint8", [outer, inner / BLOCK, BLOCK / 2], random((outer * inner) / 2)),
    constant(`${name}.s`, "float", [(outer * inner) / BLOCK], new Float32Array((outer * inner) / BLOCK).fill(scale)),
    node("MatMulNBits", [x, `${name}.w`, `${name}.s`], [name], { K: inner, N: outer, bits: 4, block_size: BLOCK, accuracy_level: kind === "ort-q4i8" ? 4 : 0 }, MICROSOFT),
  );
  return name;
}

function dynamic(name, x, [inner, outer]) {
  const of = (what) => `${name}.${what}`;
  parts.push(
    constant(of("w"), "int8", [inner, outer], random(inner * outer)),
    constant(of("s"), "float", [], Float32Array.of(Math.sqrt(12 / inner) / 256)),
    constant(of("z"), "int8", [], Int8Array.of(0)),
    node("DynamicQuantizeLinear", [x], [of("x"), of("xs"), of("xz")]),
    node("MatMulInteger", [of("x"), of("w"), of("xz"), of("z")], [of("whole")]),
    node("Cast", [of("whole")], [of("float")], { to: 1 }),
    node("Mul", [of("xs"), of("s")], [of("scale")]),
    node("Mul", [of("float"), of("scale")], [name]),
  );
  return name;
}

function rotation() {
  const turns = (of) =>
    Float32Array.from({ length: (CONTEXT * HEAD) / 2 }, (_, at) => {
      const pair = at % (HEAD / 2);
      return of(Math.floor(at / (HEAD / 2)) * ROPE_THETA ** ((-2 * pair) / HEAD));
    });
  for (const [name, of] of [["cos", Math.cos], ["sin", Math.sin]]) parts.push(constant(name, "float", [CONTEXT, HEAD / 2], turns(of)));
}

/** One layer after `x`, its input before the norm, and `normed`, that input normed; gives the same two after it. */
function layer(at, x, normed) {
  const of = (what) => `${at}.${what}`;
  const shape = (length) => [1, KV_HEADS, length, HEAD];
  for (const what of ["key", "value"]) parts.push(value(11, `past.${of(what)}`, "float", shape("past")), value(12, `present.${of(what)}`, "float", shape("total")));
  const qkv = product(of("qkv"), normed, [HIDDEN, (HEADS + 2 * KV_HEADS) * HEAD]);
  parts.push(
    node(
      "GroupQueryAttention",
      [qkv, "", "", `past.${of("key")}`, `past.${of("value")}`, "seqlens_k", "total_sequence_length", "cos", "sin"],
      [of("seen"), `present.${of("key")}`, `present.${of("value")}`],
      { num_heads: HEADS, kv_num_heads: KV_HEADS, do_rotary: 1, rotary_interleaved: 0 },
      MICROSOFT,
    ),
  );
  const [between, inside] = added(of("norm2"), x, product(of("out"), of("seen"), [HEADS * HEAD, HIDDEN]));
  const [gate, up] = ["gate", "up"].map((name) => product(of(name), inside, [HIDDEN, INNER]));
  parts.push(
    node("Sigmoid", [gate], [of("sigmoid")]),
    node("Mul", [gate, of("sigmoid")], [of("silu")]),
    node("Mul", [of("silu"), up], [of("inner")]),
  );
  return added(of("norm3"), between, product(of("down"), of("inner"), [INNER, HIDDEN]));
}

/** The sum, and the sum normed. */
function added(name, x, more) {
  parts.push(node("SkipSimplifiedLayerNormalization", [x, more, "ones"], [name, "", "", `${name}.sum`], { epsilon: { float: EPSILON } }, MICROSOFT));
  return [`${name}.sum`, name];
}

parts.push(
  value(11, "input_ids", "int64", [1, "length"]),
  value(11, "seqlens_k", "int32", [1]),
  value(11, "total_sequence_length", "int32", []),
  constant("ones", "float", [HIDDEN], new Float32Array(HIDDEN).fill(1)),
  constant("embedding", "int8", [VOCABULARY, HIDDEN], random(VOCABULARY * HIDDEN)),
  constant("embedding.scale", "float", [], Float32Array.of(Math.sqrt(12) / 256)),
  node("Gather", ["embedding", "input_ids"], ["rows"]),
  node("Cast", ["rows"], ["floats"], { to: 1 }),
  node("Mul", ["floats", "embedding.scale"], ["embedded"]),
  node("SimplifiedLayerNormalization", ["embedded", "ones"], ["normed"], { axis: -1, epsilon: { float: EPSILON }, stash_type: 1 }),
);
rotation();
let [x, normed] = ["embedded", "normed"];
for (let at = 0; at < LAYERS; at += 1) [x, normed] = layer(at, x, normed);
parts.push(
  constant("last", "int64", [1], BigInt64Array.of(-1n)),
  node("Gather", [normed, "last"], ["final"], { axis: 1 }),
  value(12, "logits", "float", [1, 1, VOCABULARY]),
);
product("logits", "final", [HIDDEN, VOCABULARY]);
writeFileSync(file, model(parts));
