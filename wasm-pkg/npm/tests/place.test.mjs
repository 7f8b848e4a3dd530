// Where things are: addresses in pages and workers, the package's own files, and places where nothing can run.

import assert from "node:assert/strict";
import { test } from "node:test";
import { resolved } from "../dist/address.js";
import { asInfo, NameLensError } from "../dist/errors.js";
import { NameLens } from "../dist/index.js";
import { FILES } from "../dist/modules.js";
import { isForeign, place } from "../dist/place.js";
import { modelSource } from "../dist/source.js";

/** Runs `body` where the globals are those of another realm. */
async function within(globals, body) {
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true });
  try {
    return await body();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else delete globalThis[name];
    }
  }
}

const at = (href, origin = new URL(href).origin) => ({ location: { href, origin, protocol: new URL(href).protocol }, origin });
const isOption = (error) => error instanceof NameLensError && error.code === "option";

test("an address counts from the page, or from the script of the app's worker", async () => {
  await within({ document: { baseURI: "https://app.example/a/page.html" } }, () => {
    assert.equal(resolved("b.png", "photo").href, "https://app.example/a/b.png");
    assert.throws(() => resolved("https://", "photo"), (error) => isOption(error) && /photo: "https:\/\/" is not an address/.test(error.message));
  });
  await within(at("https://app.example/js/worker.js"), () => {
    assert.equal(resolved("../b.png", "photo").href, "https://app.example/b.png");
    assert.equal(resolved(new URL("https://cdn.example/x"), "photo").href, "https://cdn.example/x");
  });
});

test("a worker that was made from a blob has an origin but no folder", () =>
  within(at("blob:https://app.example/0-1-2"), () => {
    assert.equal(resolved("/b.png", "photo").href, "https://app.example/b.png");
    assert.equal(resolved("https://cdn.example/b.png", "photo").href, "https://cdn.example/b.png");
    assert.throws(() => resolved("b.png", "model"), (error) => isOption(error) && /model: "b.png" is relative/.test(error.message));
  }));

test("a model's address in a worker is one, too", () =>
  within(at("https://app.example/js/worker.js"), async () => {
    assert.deepEqual(await modelSource("../m"), { folder: "https://app.example/m/" });
    await assert.rejects(modelSource("https://"), isOption);
  }));

test("outside a browser nothing can be created, and the message says so", async () => {
  for (const options of [{}, { worker: false }, { model: "/m/" }, { device: "cpu" }]) {
    await assert.rejects(NameLens.create(options), (error) => {
      assert.ok(error instanceof NameLensError && error.code === "unsupported");
      assert.match(error.message, /Node\.js/);
      assert.doesNotMatch(error.message + error.hint, /Content-Security|Chrome/);
      return true;
    });
  }
});

test("a service worker is told what it cannot do", () =>
  within({ ...at("https://app.example/sw.js"), WorkerGlobalScope: class {}, Worker: undefined }, async () => {
    await assert.rejects(NameLens.create(), (error) => error.code === "unsupported" && /service worker/.test(error.message));
  }));

test("assets say where the package's files are", () =>
  within({ document: { baseURI: "https://app.example/a/" }, ...at("https://app.example/a/") }, () => {
    for (const assets of ["/lib/namelens", "/lib/namelens/", new URL("https://app.example/lib/namelens/")]) {
      const { worker, wasm, models } = place(assets);
      assert.equal(worker.href, "https://app.example/lib/namelens/dist/worker.js");
      assert.equal(wasm.cpu.href, "https://app.example/lib/namelens/wasm/namelens_cpu_bg.wasm");
      assert.equal(wasm.webgpu.href, "https://app.example/lib/namelens/wasm/namelens_webgpu_bg.wasm");
      for (const name of ["photos", "playroom"]) {
        assert.deepEqual(models[name], { manifest: `https://app.example/lib/namelens/model/${name}/manifest.json` });
      }
    }
    assert.throws(() => place("https://"), isOption);
  }));

test("without assets the bundler knows", () => {
  const { worker, wasm, models } = place();
  assert.equal(worker, null);
  for (const [name, file] of Object.entries(FILES)) assert.ok(wasm[name].href.endsWith(`/wasm/${file}`), name);
  assert.deepEqual(Object.keys(models), ["photos", "playroom"]);
  assert.ok(models.photos.manifest.endsWith("/model/photos/manifest.json"));
  assert.ok(models.photos.files["retriever/model.gguf"].endsWith("/model/photos/retriever/model.gguf"));
  assert.ok(models.playroom.files["config.json"].endsWith("/model/playroom/config.json"));
});

test("only what is served elsewhere is foreign", () =>
  within(at("https://app.example/"), () => {
    assert.ok(isForeign(new URL("https://cdn.example/x.js")));
    assert.ok(isForeign(new URL("http://app.example/x.js")));
    for (const own of ["https://app.example/x.js", "blob:https://app.example/1", "chrome-extension://abc/x.js", "data:,x"]) {
      assert.ok(!isForeign(new URL(own)), own);
    }
  }));

test("a hint of its own crosses from the worker; the code's need not", () => {
  assert.deepEqual(asInfo(new NameLensError("http", "x")), { code: "http", message: "x" });
  assert.deepEqual(asInfo(new NameLensError("http", "x", { hint: "do y" })), { code: "http", message: "x", hint: "do y" });
});
