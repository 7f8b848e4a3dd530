// The words of a GGUF file's vocabulary, so that the ids of golden answers can be read as text.

import { closeSync, openSync, readSync } from "node:fs";

/** Bytes of the scalar types of metadata, by their numbers (GGUF specification, version 3). */
const SIZES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const [STRING, ARRAY] = [8, 9];

/** A function from ids to the bytes of their text. Byte-level vocabularies only, as GPT-2 has one. */
export function reader(file) {
  const tokens = metadata(file, "tokenizer.ggml.tokens");
  const bytes = new Map(letters().map((letter, byte) => [letter, byte]));
  return (ids) => Buffer.from(ids.flatMap((id) => [...tokens[id]].map((letter) => bytes.get(letter))));
}

/** GPT-2's letter for each byte: printable ones stand for themselves, the rest follows behind 255. */
function letters() {
  const printable = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/** A list of strings in the metadata. */
function metadata(file, wanted) {
  const head = start(file, 1 << 25);
  let at = 16;
  const count = () => Number(head.readBigUInt64LE((at += 8) - 8));
  const string = () => {
    const length = count();
    return head.toString("utf8", at, (at += length));
  };
  const word = () => head.readUInt32LE((at += 4) - 4);
  const skip = (type) => {
    if (type === STRING) string();
    else at += SIZES[type];
  };
  for (let left = count(); left > 0; left -= 1) {
    const key = string();
    const type = word();
    if (type !== ARRAY) {
      skip(type);
      continue;
    }
    const [inner, length] = [word(), count()];
    if (key === wanted && inner === STRING) return Array.from({ length }, string);
    for (let item = 0; item < length; item += 1) skip(inner);
  }
  throw new Error(`${file} has no ${wanted}`);
}

function start(file, size) {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0));
  } finally {
    closeSync(descriptor);
  }
}
