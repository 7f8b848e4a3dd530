// A server of model files: a hub that lists them at one address, a plain server that lists nothing at another.

import { createServer } from "node:http";

/**
 * Serves `files` (contents by name) at `/org/m/resolve/main/` and at `/plain/`; `asked` has every request. `breaks` says which ones
 * (`GET /plain/config.json`) end in a broken connection, `etag` what a content's is.
 */
export async function startHub() {
  const etag = (body) => `"${body.length}"`;
  const hub = { files: {}, lists: false, asked: [], breaks: () => false, etag, origin: "", close: () => server.close() };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://here");
    const asked = `${request.method} ${decodeURIComponent(pathname)}`;
    hub.asked.push(asked);
    if (hub.breaks(asked)) return request.socket.destroy();
    const listing = /^\/api\/models\/org\/m\/tree\/main(?:\/(.*))?$/.exec(pathname);
    if (listing && hub.lists) {
      const below = listing[1] ? `${listing[1]}/` : "";
      const all = Object.keys(hub.files).filter((path) => path.startsWith(below));
      const page = Number(searchParams.get("page") ?? 0);
      const entries = all.slice(2 * page, 2 * page + 2).map((path) => ({ type: "file", path, size: hub.files[path].length }));
      const more = 2 * page + 2 < all.length;
      const headers = more ? { link: `<${hub.origin}${pathname}?recursive=true&page=${page + 1}>; rel="next"` } : {};
      return response.writeHead(200, headers).end(JSON.stringify([{ type: "directory", path: `${below}d` }, ...entries]));
    }
    const body = hub.files[decodeURIComponent(pathname).replace(/^\/org\/m\/resolve\/main\/|^\/plain\//, "")];
    if (body === undefined) return response.writeHead(404).end();
    response.writeHead(200, { etag: hub.etag(body, request.method), "content-length": body.length });
    response.end(request.method === "HEAD" ? undefined : body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  hub.origin = `http://127.0.0.1:${server.address().port}`;
  return hub;
}
