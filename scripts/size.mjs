// What the browser's download is made of: bytes by crate and module, and the largest functions, before gzip. Run it
// before and after a change to see what the change adds: `npm run size`.

import { readFileSync } from "node:fs";

/** How many functions are listed; `npm run size -- 100` lists more. */
const LISTED = 40;

/** Sections of a WASM file, and within the code section the size of each function. */
function read(bytes) {
  let at = 8;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  const text = () => {
    const length = varint();
    at += length;
    return bytes.toString("utf8", at - length, at);
  };
  const sections = [];
  const names = new Map();
  const functions = [];
  let imported = 0;
  while (at < bytes.length) {
    const id = bytes[at++];
    const size = varint();
    const end = at + size;
    const name = id === 0 ? text() : (SECTIONS[id] ?? String(id));
    sections.push({ name, size });
    if (name === "name") {
      while (at < end) {
        const kind = bytes[at++];
        const part = varint() + at;
        if (kind === 1) for (let left = varint(); left > 0; left--) names.set(varint(), text());
        at = part;
      }
    } else if (name === "import") {
      for (let left = varint(); left > 0; left--) {
        text();
        text();
        const kind = bytes[at++];
        if (kind === 0) {
          imported++;
          varint();
        } else if (kind === 3) at += 2;
        else {
          if (kind === 1) at++;
          const limits = bytes[at++];
          varint();
          if (limits & 1) varint();
        }
      }
    } else if (name === "code") {
      for (let left = varint(); left > 0; left--) {
        const size = varint();
        functions.push(size);
        at += size;
      }
    }
    at = end;
  }
  const named = functions.map((size, index) => ({ size, name: names.get(index + imported) ?? `#${index}` }));
  return { sections, functions: named };
}

const SECTIONS = ["custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"];

/** Crate and first module: `enfilade_core::client`. A method of a trait counts for the type that has it. */
function owner(name) {
  const type = /^<+(?:&|mut |\[)*([a-z_0-9]+(?:::[a-z_0-9]+)?)/.exec(name) ?? /^([a-z_0-9]+(?:::[a-z_0-9]+)?)/.exec(name);
  return type?.[1] ?? "other";
}

const { sections, functions } = read(readFileSync(process.argv[2]));
const row = (size, name) => console.log(`${String(size).padStart(9)}  ${name}`);
console.log("Sections, bytes before gzip");
for (const { name, size } of sections) row(size, name);
const owners = new Map();
for (const { name, size } of functions) owners.set(owner(name), (owners.get(owner(name)) ?? 0) + size);
console.log("\nCode by module");
for (const [name, size] of [...owners].sort((a, b) => b[1] - a[1]).slice(0, LISTED)) row(size, name);
console.log("\nLargest functions");
const listed = Number(process.argv[3] ?? LISTED);
for (const { name, size } of functions.sort((a, b) => b.size - a.size).slice(0, listed)) row(size, name);
