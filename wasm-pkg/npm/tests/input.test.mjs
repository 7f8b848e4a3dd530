// What comes from outside is checked before it is believed: manifests, photo formats, thrown things.

import assert from "node:assert/strict";
import { test } from "node:test";
import { asError, NameLensError } from "../dist/errors.js";
import { parseManifest, sha256 } from "../dist/manifest.js";
import { isEngineFormat } from "../dist/photo.js";

const file = { name: "config.json", path: "config.json", bytes: 2, sha256: "0".repeat(64) };
const manifest = { name: "m", version: "1", files: [file] };
const parse = (value) => parseManifest(typeof value === "string" ? value : JSON.stringify(value), "m/manifest.json");

test("a sound manifest is read", () => {
  assert.deepEqual(parse(manifest), manifest);
  assert.equal(parse({ ...manifest, files: [{ ...file, path: "a/b-1_c.safetensors" }] }).files.length, 1);
});

test("a manifest may not point elsewhere, lie about sizes or be something else", () => {
  const paths = ["../secret", "a/../../b", "/etc/passwd", "https://elsewhere.example/x", "//elsewhere/x", "a\\b", "", ".hidden"];
  const files = [
    ...paths.map((path) => ({ ...file, path })),
    { ...file, bytes: -1 },
    { ...file, bytes: 1.5 },
    { ...file, bytes: 2 ** 40 },
    { ...file, sha256: "abc" },
    { ...file, name: "" },
    null,
  ];
  const bad = ["", "{", "null", "[]", {}, { ...manifest, files: [] }, { ...manifest, files: {} }, { ...manifest, name: 1 }];
  bad.push({ ...manifest, files: [file, file] }, ...files.map((one) => ({ ...manifest, files: [one] })));
  for (const value of bad) {
    const wrong = (error) => error instanceof NameLensError && error.code === "config" && error.message.startsWith("m/manifest.json: ");
    assert.throws(() => parse(value), wrong, JSON.stringify(value));
  }
});

test("SHA-256 is the real one", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  assert.equal(await sha256(new TextEncoder().encode("abc")), abc);
});

test("a photo's format is known by its first bytes", () => {
  const bytes = (...values) => Uint8Array.from(values);
  const webp = new TextEncoder().encode("RIFF____WEBPVP8 ");
  assert.ok(isEngineFormat(bytes(0xff, 0xd8, 0xff, 0xe0)));
  assert.ok(isEngineFormat(bytes(0x89, 0x50, 0x4e, 0x47, 13)));
  assert.ok(isEngineFormat(webp));
  for (const other of [bytes(), bytes(0xff), new TextEncoder().encode("RIFF____WAVE"), new TextEncoder().encode("GIF89a")]) {
    assert.ok(!isEngineFormat(other));
  }
});

test("whatever is thrown becomes a typed error", () => {
  assert.equal(asError(Object.assign(new Error("x"), { code: "weights" })).code, "weights");
  assert.equal(asError(Object.assign(new Error("x"), { code: "made-up" })).code, "internal");
  assert.equal(asError(new DOMException("stop", "AbortError")).code, "cancelled");
  assert.equal(asError(new DOMException("changed", "NotReadableError")).code, "file");
  assert.equal(asError(new RangeError("out of memory")).code, "memory");
  assert.equal(asError("text", "network").code, "network");
  assert.equal(asError(null).code, "internal");
  assert.notEqual(asError(new NameLensError("image", "x")).hint, "");
});
