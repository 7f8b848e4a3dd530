// Apps on the machine of a stranger: a folder outside the checkout, its locked packages, and the packed package in it.

import { execFile, spawn, type ChildProcess } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A file of the repository. */
const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** A setting that `cargo xtask test` makes. */
function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: \`cargo xtask test --only browser\` packs the package and sets it`);
  return value;
}

/** What `npm pack` wrote. */
const tarball = (): string => setting("NAMELENS_TARBALL");

const written = JSON.parse(await readFile(at("tests/fixtures/caption.json"), "utf8")) as { name: string; byNameAlone: string };

/** The caption that the native engine wrote (tests/decode.rs) of a thing of which the apps tell a name and a photo. */
export const fixture = { name: written.name, text: written.byNameAlone };

/** Node's own program for a command that an app installed. */
export const bin = (app: string, command: string): string => join(app, "node_modules/.bin", command);

/** Runs a program in a folder to its end; its output is in the error when it fails. */
export async function command(folder: string, program: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", npm_config_loglevel: "error" };
  try {
    return (await run(program, args, { cwd: folder, env, maxBuffer: 2 ** 26 })).stdout;
  } catch (thrown) {
    const { stdout, stderr } = thrown as { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args.join(" ")} in ${folder} failed\n${stdout ?? ""}\n${stderr ?? ""}`, { cause: thrown });
  }
}

/** Puts up the app called `name`: its own files, those that all share, two photos, and what it depends on. */
export async function app(name: string): Promise<string> {
  const folder = join(setting("NAMELENS_APPS"), name);
  const lock = await readFile(at(`tests/packages/${name}/package-lock.json`), "utf8");
  // Written when everything is installed; what broke off begins anew.
  const done = join(folder, "installed.json");
  if ((await readFile(done, "utf8").catch(() => null)) !== lock) {
    await rm(folder, { recursive: true, force: true });
    await fill(folder, name);
    await command(folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund");
    await writeFile(done, lock);
  }
  await fill(folder, name);
  await command(folder, "npm", "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", tarball());
  return folder;
}

async function fill(folder: string, name: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await cp(at("tests/packages/app"), folder, { recursive: true });
  await cp(at(`tests/packages/${name}`), folder, { recursive: true });
  await photos(join(folder, "public"));
}

/** The first thing of the album with its name, and the first scene, which shows it. */
async function photos(folder: string): Promise<void> {
  const album = JSON.parse(await readFile(at("web-demo/public/album/album.json"), "utf8")) as { file: string; role: string }[];
  await mkdir(join(folder, "photos"), { recursive: true });
  for (const [role, name] of [["reference", "thing.png"], ["scene", "scene.png"]] as const) {
    const photo = album.find((one) => one.role === role);
    if (!photo) throw new Error(`album.json has no ${role}`);
    await cp(at(`web-demo/public/album/${photo.file}`), join(folder, "photos", name));
  }
  await write(folder, "photos/name.txt", fixture.name);
}

/** A folder with the shared files, the photos and, in `namelens/`, the package as it was packed: nothing is bundled. */
export async function plain(name: string): Promise<string> {
  const folder = join(setting("NAMELENS_APPS"), name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await cp(at("tests/packages/app"), folder, { recursive: true });
  await photos(folder);
  await unpack(join(folder, "namelens"));
  return folder;
}

/** Unpacks the package into `folder`. */
export async function unpack(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await run("tar", ["-xzf", tarball(), "--strip-components=1", "-C", folder]);
}

/** Copies one of the folders here over an app's. */
export const add = (name: string, folder: string): Promise<void> => cp(at(`tests/packages/${name}`), folder, { recursive: true });

/** Writes a small file of an app. */
export const write = (folder: string, path: string, text: string): Promise<void> => writeFile(join(folder, path), text);

/** Starts a server that an app brings; resolves to its address when it says one. */
export async function serving(folder: string, program: string, ...args: string[]): Promise<{ url: string; stop(): Promise<void> }> {
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NO_COLOR: "1" };
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const url = await new Promise<string>((resolve, reject) => {
    let said = "";
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /http:\/\/(?:localhost|127\.0\.0\.1):(\d+)/.exec(said);
      if (found) resolve(`http://127.0.0.1:${found[1]}/`);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`${program} ended (${code}) before it served:\n${said}`)));
  });
  return { url, stop: () => end(child) };
}

/** Ends a server with everything that it started. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  // It leads a process group of its own.
  process.kill(-child.pid, "SIGTERM");
  await ended;
}
