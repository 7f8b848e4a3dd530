// The few messages of ONNX (onnx.proto, version 1.23) that a graph needs, written in the wire format of protocol buffers.

const TYPES = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7 };

function varint(value) {
  const bytes = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}

const number = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);

function bytes(field, value) {
  const body = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
}

const message = (field, parts) => bytes(field, Buffer.concat(parts.flat()));

function attribute([name, value]) {
  if (Array.isArray(value)) return message(5, [bytes(1, name), value.map((one) => number(8, one)), number(20, 7)]);
  if (Number.isInteger(value)) return message(5, [bytes(1, name), number(3, value), number(20, 2)]);
  const float = Buffer.alloc(5);
  float[0] = (2 << 3) | 5;
  float.writeFloatLE(value.float, 1);
  return message(5, [bytes(1, name), float, number(20, 1)]);
}

/** A node; an attribute is a whole number, a list of them, or `{ float }`. */
export const node = (operator, inputs, outputs, attributes = {}, domain = "") =>
  message(1, [
    inputs.map((name) => bytes(1, name)),
    outputs.map((name) => bytes(2, name)),
    bytes(3, outputs[0]),
    bytes(4, operator),
    Object.entries(attributes).map(attribute),
    bytes(7, domain),
  ]);

/** Constant numbers: `data` is a typed array. */
export const constant = (name, type, shape, data) =>
  message(5, [
    shape.map((size) => number(1, size)),
    number(2, TYPES[type]),
    bytes(8, name),
    bytes(9, Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
  ]);

/** An input (`field` 11) or output (12); a size is a number, or a name where it varies. */
export const value = (field, name, type, shape) => {
  const sizes = shape.map((size) => message(1, [typeof size === "number" ? number(1, size) : bytes(2, size)]));
  return message(field, [bytes(1, name), message(2, [message(1, [number(1, TYPES[type]), message(2, sizes)])])]);
};

/** The whole file. */
export const model = (parts) => {
  const opset = (domain, version) => message(8, [bytes(1, domain), number(2, version)]);
  return Buffer.concat([number(1, 10), opset("", 21), opset("com.microsoft", 1), message(7, [bytes(2, "decoder"), ...parts])]);
};
