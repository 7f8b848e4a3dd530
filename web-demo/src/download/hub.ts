// What the Hugging Face hub says about a repository: its commit, its files with sizes and hashes, and why it says no.

import type { Plan, PlannedFile } from "../models/store.js";
import { isId } from "../models/store.js";
import { choose, type Variant } from "./choose.js";
import { Problem } from "./problems.js";

/** The hub. Files that are large come from its own CDN below hf.co, to which it redirects with a signed address. */
export const HUB = "https://huggingface.co";
/** Most pages of a list of files; each has up to a thousand. */
const MAX_PAGES = 20;

/** A repository that can be downloaded. */
export interface Found {
  readonly plan: Plan;
  /** GGUF files to choose among, and the chosen one; none where the weights are safetensors. */
  readonly variants: readonly Variant[];
  readonly variant: string | null;
}

/** One entry of the hub's list of files. */
interface Entry {
  readonly type: string;
  readonly path: string;
  readonly size: number;
  /** SHA-1 of the git blob; for a file in LFS that of its pointer. */
  readonly oid: string;
  readonly lfs?: { readonly oid: string; readonly size: number };
}

/** The page of a repository at a revision. */
export const pageOf = (id: string, revision = "main"): string => `${HUB}/${id}/tree/${encodeURIComponent(revision)}`;

/** The address of a file at a commit. */
export function addressOf({ id, commit }: Pick<Plan, "id" | "commit">, path: string): string {
  return `${HUB}/${id}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

/** Asks the hub what a repository has. Rejects with a {@link Problem}. Nothing of the model itself is fetched. */
export async function lookUp(id: string, revision: string, signal: AbortSignal, wanted?: string): Promise<Found> {
  if (!isId(id)) throw new Problem("form", id);
  const about = (await ask(`${HUB}/api/models/${id}/revision/${encodeURIComponent(revision || "main")}`, signal)).body as {
    sha: string;
    gated?: unknown;
    tags?: readonly string[];
  };
  if (about.gated) throw new Problem("gated", id);
  const entries = await list(id, about.sha, signal);
  const chosen = choose([...entries.keys()], wanted);
  if ("missing" in chosen) throw new Problem("no-model", `${id}: ${chosen.missing} is missing`);
  const licence = about.tags?.find((tag) => tag.startsWith("license:"))?.slice("license:".length) ?? null;
  const files = chosen.paths.map((path) => planned(entries.get(path) as Entry));
  const plan = { id, commit: about.sha, licence, files };
  return { plan, variants: chosen.variants, variant: chosen.variant };
}

function planned({ path, size, oid, lfs }: Entry): PlannedFile {
  return lfs ? { path, bytes: lfs.size, digest: { kind: "sha256", hex: lfs.oid } } : { path, bytes: size, digest: { kind: "git-sha1", hex: oid } };
}

/** All files by path, from all pages of the list. */
async function list(id: string, commit: string, signal: AbortSignal): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  let next: string | null = `${HUB}/api/models/${id}/tree/${commit}?recursive=true`;
  for (let page = 0; next !== null && page < MAX_PAGES; page += 1) {
    const { body, link }: Answer = await ask(next, signal);
    for (const entry of body as readonly Entry[]) if (entry.type === "file") entries.set(entry.path, entry);
    const more: string | undefined = /<([^>]+)>\s*;\s*rel="next"/.exec(link)?.[1];
    next = more === undefined ? null : new URL(more, next).href;
  }
  return entries;
}

interface Answer {
  readonly body: unknown;
  readonly link: string;
}

async function ask(url: string, signal: AbortSignal): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch(url, { signal, cache: "no-cache", credentials: "omit" });
    if (response.ok) return { body: await response.json(), link: response.headers.get("link") ?? "" };
  } catch (thrown) {
    if (signal.aborted) throw new Problem("paused");
    throw new Problem("offline", thrown instanceof Error ? thrown.message : String(thrown));
  }
  throw refusal(response, url);
}

/** Why the hub said no. It answers 401 also for what does not exist, so that nobody learns which private repositories there are. */
export function refusal(response: Response, what: string): Problem {
  const code = response.headers.get("x-error-code");
  const detail = `${what}: ${response.status}${code ? ` ${code}` : ""}`;
  if (code === "GatedRepo") return new Problem("gated", detail);
  if (code === "RevisionNotFound") return new Problem("revision", detail);
  if ([401, 404].includes(response.status)) return new Problem("missing", detail);
  return new Problem("refused", detail);
}
