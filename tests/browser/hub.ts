// The Hugging Face hub and its CDN, as they answer a page, over https under their own names; behind them a small checkpoint.
//
// The browser finds them by --host-resolver-rules and trusts their certificate by its key, so the built page is tested as
// it is published, policy and addresses included. Playwright's routes would not do: they neither follow a redirect to
// another origin nor check its CORS headers, which is what a download from the hub consists of.

import { createHash, createHmac, randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { certificate } from "./certificate.js";

export const COMMIT = "7e3e67edbbed1bf9888184d9df282b700a323964";
const CDN = "cas-bridge.xethub.hf.co";
/** What the hub lets pages read, and what its CDN does. */
const HUB_EXPOSES = "X-Repo-Commit,X-Request-Id,X-Error-Code,X-Error-Message,X-Total-Count,ETag,Link,Accept-Ranges,Content-Range,X-Linked-Size,X-Linked-ETag,X-Xet-Hash";
const CDN_EXPOSES = "Accept-Ranges, Content-Range, Content-Type, Content-Disposition, ETag, X-Cache";

/** What a repository is, beside its files. */
export interface Repository {
  readonly files: ReadonlyMap<string, Buffer>;
  readonly gated?: boolean;
}

/** What happens to the next answers with a file. */
export interface Faults {
  /** The connection is cut after so many bytes of the answer. */
  cut?: { path: string; after: number; times: number };
  /** After so many bytes nothing comes any more. */
  stall?: { path: string; after: number };
  /** It has only so many bytes, whatever the list of files says. */
  short?: { path: string; bytes: number };
  /** One byte is another. */
  wrong?: { path: string };
  /** So many signed addresses have expired before they are asked for. */
  expired?: number;
}

/** A file's bytes from the folder of a checkpoint. */
export async function checkpointFiles(folder: string, without = /goldens|adapters|legacy/): Promise<Map<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = new Map<string, Buffer>();
  for (const entry of entries.filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (!without.test(path)) files.set(path, await readFile(join(folder, path)));
  }
  return files;
}

const isLarge = (path: string): boolean => /\.(safetensors|gguf)$|^tokenizer\.json$/.test(path);
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const gitSha1 = (bytes: Buffer): string => createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

/** The two servers. */
export class Hub {
  readonly repositories = new Map<string, Repository>();
  /** Every request: `huggingface.co GET /path range`. */
  readonly asked: string[] = [];
  /** The sites that asked, as their browsers tell. */
  readonly origins = new Set<string>();
  faults: Faults = {};
  readonly #secret = randomBytes(16);
  readonly #identity = certificate(["huggingface.co", "*.huggingface.co", CDN, "*.hf.co"]);
  readonly #servers: Server[] = [];
  #browserArgs: string[] = [];

  /** Starts both. */
  static async start(): Promise<Hub> {
    const hub = new Hub();
    const port = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> => {
      const server = createServer(hub.#identity, answer);
      hub.#servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return (server.address() as AddressInfo).port;
    };
    const main = await port((request, response) => hub.#answer(request, response));
    const cdn = await port((request, response) => hub.#answerCdn(request, response));
    hub.#browserArgs = [
      `--host-resolver-rules=MAP huggingface.co:443 127.0.0.1:${main}, MAP ${CDN}:443 127.0.0.1:${cdn}`,
      `--ignore-certificate-errors-spki-list=${hub.#identity.spki}`,
    ];
    return hub;
  }

  /** What a browser must be started with to find them. */
  get browserArgs(): string[] {
    return this.#browserArgs;
  }

  /** Forgets what was asked, and all faults. */
  reset(): void {
    this.asked.length = 0;
    this.origins.clear();
    this.faults = {};
  }

  /** The ranges in which a file was asked for at the CDN; null is the whole. */
  ranges(path: string): (string | null)[] {
    const lines = this.asked.filter((line) => line.startsWith(`${CDN} GET`) && line.includes(encodeURIComponent(path)));
    return lines.map((line) => /range=(\S+)/.exec(line)?.[1] ?? null);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  #log({ method, url, headers }: IncomingMessage, host: string): void {
    this.asked.push(`${host} ${method} ${url}${headers.range ? ` range=${headers.range}` : ""}`);
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    this.#log(request, "huggingface.co");
    if (request.headers.origin) this.origins.add(request.headers.origin);
    const { pathname } = new URL(request.url ?? "", "https://huggingface.co");
    const cors = { "access-control-allow-origin": request.headers.origin ?? "https://huggingface.co", vary: "Origin", "access-control-expose-headers": HUB_EXPOSES };
    const say = (status: number, headers: Record<string, string> = {}, body: string | Buffer = ""): void => {
      response.writeHead(status, { ...cors, ...headers }).end(request.method === "HEAD" ? undefined : body);
    };
    const json = (value: unknown, headers = {}): void => say(200, { "content-type": "application/json", ...headers }, JSON.stringify(value));
    if (!["GET", "HEAD"].includes(request.method ?? "")) return say(404);
    const path = /^(?:\/api\/(?:models|resolve-cache\/models))?\/([^/]+\/[^/]+)\/(revision|tree|resolve|[0-9a-f]{40})(?:\/(.*))?$/.exec(pathname);
    const [, id = "", verb = "", rest = ""] = path ?? [];
    const repository = this.repositories.get(id);
    // It answers so to whoever is not signed in, whether the repository is private or not there.
    if (!repository) return say(401, { "x-error-code": "RepoNotFound", "x-error-message": "Repository not found" }, "Invalid username or password.");
    if (verb === COMMIT) return this.#send(request, response, decodeURIComponent(rest), repository, cors);
    const revision = rest.split("/")[0] ?? "";
    if (!["main", COMMIT].includes(revision)) return say(404, { "x-error-code": "RevisionNotFound" }, "Invalid rev id");
    if (verb === "revision") return json({ id, sha: COMMIT, gated: repository.gated ? "manual" : false, private: false, tags: ["license:apache-2.0"] });
    if (verb === "tree") return this.#list(id, repository, new URL(request.url ?? "", "https://huggingface.co"), json);
    if (repository.gated) return say(401, { "x-error-code": "GatedRepo", "x-error-message": "Access to this model is restricted." }, "Access to this model is restricted.");
    const file = decodeURIComponent(rest.slice(revision.length + 1));
    const body = repository.files.get(file);
    if (!body) return say(404, { "x-error-code": "EntryNotFound" }, "Entry not found");
    const large = isLarge(file);
    const linked = { "x-repo-commit": COMMIT, "x-linked-size": String(body.length), "x-linked-etag": `"${large ? sha256(body) : gitSha1(body)}"` };
    const location = large ? this.#sign(id, file) : `/api/resolve-cache/models/${id}/${COMMIT}/${encodeURIComponent(file)}`;
    return say(large ? 302 : 307, { ...linked, location, "accept-ranges": "bytes" }, `Redirecting to ${location}`);
  }

  /** In pages of six, as the real one's are of a thousand. */
  #list(id: string, { files }: Repository, { searchParams }: URL, json: (value: unknown, headers?: Record<string, string>) => void): void {
    const entries = [...files].map(([path, body]) => {
      const large = { lfs: { oid: sha256(body), size: body.length, pointerSize: 131 } };
      return { type: "file", oid: isLarge(path) ? "0".repeat(40) : gitSha1(body), size: body.length, path, ...(isLarge(path) ? large : {}) };
    });
    const at = Number(searchParams.get("cursor") ?? 0);
    const more = at + 6 < entries.length;
    const link = `<https://huggingface.co/api/models/${id}/tree/${COMMIT}?recursive=true&cursor=${at + 6}>; rel="next"`;
    json([{ type: "directory", oid: "0".repeat(40), size: 0, path: "onnx" }, ...entries.slice(at, at + 6)], more ? { link } : {});
  }

  #sign(id: string, file: string): string {
    const expired = (this.faults.expired ?? 0) > 0;
    if (expired) this.faults.expired = (this.faults.expired ?? 0) - 1;
    const path = `/xet-bridge-us/${encodeURIComponent(id)}/${encodeURIComponent(file)}`;
    const expires = String(Date.now() + (expired ? -1000 : 3_600_000));
    return `https://${CDN}${path}?X-Amz-Expires=${expires}&X-Amz-Signature=${this.#signature(path, expires)}`;
  }

  #signature(path: string, expires: string): string {
    return createHmac("sha256", this.#secret).update(path).update(expires).digest("hex");
  }

  #answerCdn(request: IncomingMessage, response: ServerResponse): void {
    this.#log(request, CDN);
    const { pathname, searchParams } = new URL(request.url ?? "", `https://${CDN}`);
    const cors = { "access-control-allow-origin": "*", "access-control-expose-headers": CDN_EXPOSES };
    // It gives no leave to requests that must ask for it.
    if (request.method !== "GET") return void response.writeHead(403, cors).end();
    const expires = searchParams.get("X-Amz-Expires") ?? "0";
    const signed = searchParams.get("X-Amz-Signature") === this.#signature(pathname, expires) && Number(expires) > Date.now();
    if (!signed) return void response.writeHead(403, cors).end("<Error><Code>AccessDenied</Code></Error>");
    const [id = "", file = ""] = pathname.split("/").slice(2).map(decodeURIComponent);
    const repository = this.repositories.get(id);
    if (!repository) return void response.writeHead(404, cors).end();
    this.#send(request, response, file, repository, cors);
  }

  #send(request: IncomingMessage, response: ServerResponse, file: string, { files }: Repository, cors: Record<string, string>): void {
    const { cut, short, stall, wrong } = this.faults;
    const whole = files.get(file)?.subarray(0, short?.path === file ? short.bytes : undefined);
    if (!whole) return void response.writeHead(404, cors).end();
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? -1);
    if (from >= whole.length) return void response.writeHead(416, { ...cors, "content-range": `bytes */${whole.length}` }).end();
    const body = Buffer.from(whole.subarray(Math.max(from, 0)));
    if (wrong?.path === file) body[body.length >> 1] = (body[body.length >> 1] ?? 0) ^ 1;
    const headers: Record<string, string> = {
      ...cors,
      etag: `"${isLarge(file) ? sha256(whole) : gitSha1(whole)}"`,
      "accept-ranges": "bytes",
      "content-length": String(body.length),
      "content-type": "application/octet-stream",
    };
    if (from >= 0) headers["content-range"] = `bytes ${from}-${whole.length - 1}/${whole.length}`;
    response.writeHead(from >= 0 ? 206 : 200, headers);
    if (stall?.path === file) return void response.write(body.subarray(0, stall.after));
    if (cut?.path !== file || cut.times === 0) return void response.end(body);
    cut.times -= 1;
    response.write(body.subarray(0, cut.after), () => setTimeout(() => response.destroy(), 50));
  }
}
