// What browsers load, by section, by module, and by function, before gzip. Run it before and after a change to see what
// the change adds: `npm run size`, or `npm run size -- 200 sorted` for the 200 largest with `sorted` in their names.

import { readFileSync } from "node:fs";
import { namedWasm } from "./build-wasm.mjs";
import { build } from "./lib/build.mjs";
import { functionNames, importsFunction, sections } from "./lib/wasm-file.mjs";

const MODULES_SHOWN = 30;
const FUNCTIONS_SHOWN = 40;

const SECTIONS = [
  "custom",
  "type",
  "imports",
  "functions",
  "table",
  "memory",
  "globals",
  "exports",
  "start",
  "elements",
  "code",
  "data",
  "data count",
];
const IMPORTS = 2;
const CODE = 10;

/** Functions with name and size. */
function functions(all) {
  const of = (id) => all.find((section) => section.id === id).content;
  const imported = [...of(IMPORTS).items(importsFunction)].filter(Boolean).length;
  const names = new Map(functionNames(all.find((section) => section.name === "name").content));
  const sizes = of(CODE).items((code) => {
    const size = code.number();
    code.part(size);
    return size;
  });
  return [...sizes].map((size, index) => ({
    size,
    name: names.get(index + imported) ?? `function ${index}`,
  }));
}

/** Crate and module. A method of a trait counts for the type that has it. */
function owner(name) {
  const path = /^(?:<+(?:&|mut |\[)*)?([a-z_0-9]+(?:\[\w+\])?(?:::[a-z_0-9]+\b(?!<))?)/.exec(name);
  return path ? path[1].replace(/\[\w+\]/, "") : "other";
}

function show(title, rows, count) {
  console.log(`\n${title}`);
  const largest = [...rows].sort((a, b) => b.size - a.size).slice(0, count);
  for (const { size, name } of largest) console.log(`${size.toLocaleString("en-US").padStart(9)}  ${name}`);
}

function byOwner(functions) {
  const sizes = new Map();
  for (const { name, size } of functions) sizes.set(owner(name), (sizes.get(owner(name)) ?? 0) + size);
  return [...sizes].map(([name, size]) => ({ name, size }));
}

await build("wasm");
const all = [...sections(readFileSync(namedWasm))].map((section) => ({
  ...section,
  name: section.name ?? SECTIONS[section.id],
}));
const inCode = functions(all);
const [count = FUNCTIONS_SHOWN, word = ""] = process.argv.slice(2);
show(
  "Sections",
  all.filter((section) => section.name !== "name"),
);
show("Code by module", byOwner(inCode), MODULES_SHOWN);
show(
  "Largest functions",
  inCode.filter(({ name }) => name.includes(word)),
  Number(count),
);
