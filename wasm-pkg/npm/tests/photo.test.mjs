// Photos by their addresses: stopped, refused or cut off on the way, alone and in a conversation.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Chat } from "../dist/chat.js";
import { photoBytes } from "../dist/photo.js";
import { Run } from "../dist/run.js";

const PHOTO = Buffer.from([0x89, 0x50, 0x4e, 0x47, 1, 2, 3]);
let server;
let site;
const asked = [];
before(async () => {
  server = createServer((request, response) => {
    asked.push(request.url);
    if (request.url === "/silent") return;
    if (request.url === "/none") return response.writeHead(404).end();
    response.writeHead(200, { "content-length": "1000" });
    response.write(PHOTO, () => request.url === "/cut" && setTimeout(() => response.destroy(), 20));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  site = `http://127.0.0.1:${server.address().port}`;
  // As every page has one.
  globalThis.location = new URL(site);
});
after(() => {
  server.closeAllConnections();
  server.close();
});

for (const [where, path] of [["before its first byte", "/silent"], ["in the middle", "/slow"]]) {
  test(`a photo that is stopped ${where} is cancelled, whatever the reason says`, async () => {
    for (const reason of [undefined, new Error("left the page")]) {
      const abort = new AbortController();
      setTimeout(() => abort.abort(reason), 30);
      await assert.rejects(photoBytes(site + path, abort.signal), { name: "NameLensError", code: "cancelled" });
    }
    await assert.rejects(photoBytes(site + path, AbortSignal.timeout(30)), { name: "NameLensError", code: "cancelled" });
  });
}

test("a photo that is not there is told by its address, one that breaks off is the network's fault", async () => {
  await assert.rejects(photoBytes(`${site}/none`), { code: "http", message: /\/none: the server answered 404/, hint: /address of the photo/ });
  await assert.rejects(photoBytes(`${site}/cut`), { name: "NameLensError", code: "network" });
});

const chat = (path) => new Chat(site + path, {}, () => new Run(async () => ({ raw: "never" })));

test("a turn whose photo does not come can be stopped, and so can those that wait behind it", async () => {
  const talk = chat("/silent");
  const [first, second] = [talk.ask("a"), talk.ask("b")];
  second.cancel();
  await assert.rejects(second, { code: "cancelled" });
  first.cancel();
  await assert.rejects(first, { code: "cancelled" });
  const third = talk.ask("c");
  talk.dispose();
  await assert.rejects(third, { code: "disposed" });
});

test("the photo of a conversation is fetched once, also when the turn that wanted it first was stopped", async () => {
  const talk = chat("/slow?once");
  const first = talk.ask("a");
  await new Promise((resolve) => setTimeout(resolve, 50));
  first.cancel();
  await assert.rejects(first, { code: "cancelled" });
  const second = talk.ask("b");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(asked.filter((path) => path === "/slow?once").length, 1);
  talk.dispose();
  await assert.rejects(second, { code: "disposed" });
});
