// Changes to a WebAssembly module on its way to the page, so that what seldom happens there happens for real.

/** A module's sections: ids and contents, in order. */
type Sections = { id: number; body: Buffer }[];

function readNumber(bytes: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7, at += 1) {
    const byte = bytes[at] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at + 1];
  }
}

function number(value: number): Buffer {
  const out: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    out.push((value % 128) | (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return Buffer.from(out);
}

function split(module: Buffer): Sections {
  const sections: Sections = [];
  for (let at = 8; at < module.length; ) {
    const [size, start] = readNumber(module, at + 1);
    sections.push({ id: module[at] ?? 0, body: module.subarray(start, start + size) });
    at = start + size;
  }
  return sections;
}

function join(module: Buffer, sections: Sections): Buffer {
  const parts = sections.flatMap(({ id, body }) => [Buffer.from([id]), number(body.length), body]);
  return Buffer.concat([module.subarray(0, 8), ...parts]);
}

/** A file of the package as it is, but for the engine's memory, which cannot grow beyond `bytes`: a module, or the script that makes the memory of one with threads. */
export function withMemoryLimit(path: string, body: Buffer, bytes: number): Buffer {
  const pages = Math.ceil(bytes / 65_536);
  if (path.endsWith(".js")) return Buffer.from(body.toString().replaceAll("maximum:65536", `maximum:${pages}`));
  return path.endsWith(".wasm") ? limited(body, pages) : body;
}

function limited(module: Buffer, pages: number): Buffer {
  const sections = split(module).map(({ id, body }) => {
    if (id === 2) return { id, body: withImportedLimit(body, pages) };
    if (id !== 5) return { id, body };
    const [least] = readNumber(body, 2);
    return { id, body: Buffer.concat([Buffer.from([1, 1]), number(least), number(pages)]) };
  });
  return join(module, sections);
}

/** The imports, with the limit on a shared memory among them. */
function withImportedLimit(section: Buffer, pages: number): Buffer {
  const memory = imports(section).find(({ kind }) => kind === MEMORY);
  if (!memory) return section;
  const [, most] = readNumber(section, memory.at + 1);
  const [, end] = readNumber(section, most);
  return Buffer.concat([section.subarray(0, most), number(pages), section.subarray(end)]);
}

/** The same module, in which the exported function `name` does nothing but fall into a trap. */
export function withTrap(module: Buffer, name: string): Buffer {
  const sections = split(module);
  const section = (id: number): Buffer => sections.find((one) => one.id === id)?.body ?? Buffer.from([0]);
  const index = exported(section(7), name) - importedFunctions(section(2));
  const code = section(10);
  const [count, first] = readNumber(code, 0);
  const bodies: Buffer[] = [];
  for (let at = first, i = 0; i < count; i += 1) {
    const [size, start] = readNumber(code, at);
    const body = code.subarray(start, start + size);
    const changed = i === index ? trapped(body) : body;
    bodies.push(number(changed.length), changed);
    at = start + size;
  }
  const replaced = Buffer.concat([number(count), ...bodies]);
  return join(module, sections.map(({ id, body }) => ({ id, body: id === 10 ? replaced : body })));
}

/** A body that begins with `unreachable`; what follows is never run, but still valid. */
function trapped(body: Buffer): Buffer {
  let [groups, at] = readNumber(body, 0);
  for (; groups > 0; groups -= 1) at = readNumber(body, at)[1] + 1;
  return Buffer.concat([body.subarray(0, at), Buffer.from([0]), body.subarray(at)]);
}

function exported(section: Buffer, wanted: string): number {
  let [count, at] = readNumber(section, 0);
  for (; count > 0; count -= 1) {
    const [length, start] = readNumber(section, at);
    const name = section.toString("utf8", start, start + length);
    const [index, next] = readNumber(section, start + length + 1);
    if (name === wanted) return index;
    at = next;
  }
  throw new Error(`the module exports no ${wanted}`);
}

const FUNCTION = 0;
const MEMORY = 2;

const importedFunctions = (section: Buffer): number => imports(section).filter(({ kind }) => kind === FUNCTION).length;

/** What is imported, of which kind, and where its description begins. */
function imports(section: Buffer): { kind: number; at: number }[] {
  const found: { kind: number; at: number }[] = [];
  let [count, at] = readNumber(section, 0);
  const skipName = (): void => {
    const [length, start] = readNumber(section, at);
    at = start + length;
  };
  for (; count > 0; count -= 1) {
    skipName();
    skipName();
    const kind = section[at] ?? -1;
    found.push({ kind, at: at + 1 });
    if (kind !== FUNCTION && kind !== MEMORY) throw new Error("only functions and a memory are expected to be imported");
    // A function is the number of its type; a shared memory has flags, and two numbers of pages.
    at = kind === FUNCTION ? readNumber(section, at + 1)[1] : readNumber(section, readNumber(section, at + 2)[1])[1];
  }
  return found;
}
