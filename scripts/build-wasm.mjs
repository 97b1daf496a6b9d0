// Builds the npm package `enfilade`: the WASM file, its glue, and the TypeScript beside it. Fails when a browser would
// have to load more than the limit.

import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { Failure, root, targetDir } from "./lib/run.mjs";
import { orderedBySimilarity } from "./lib/wasm-order.mjs";

/** What a page is to pay for Enfilade over the wire: WASM and glue, gzipped. More is felt on a phone. */
const GOAL_BYTES = 150_000;
/** The goal is missed since the client plays all its parts. This is 3 % above what is reached. */
const LIMIT_BYTES = 195_000;

const TARGET = "wasm32-unknown-unknown";
const OUT = "wasm/dist/bindgen";
const NAME = "enfilade_wasm";
const TESTING = "enfilade_testing";
/** What every page loads, and what is loaded when it is asked for. */
const FILES = [
  { crate: "enfilade-wasm-module", name: NAME },
  { crate: "enfilade-wasm-testing", name: TESTING },
];

/** What the compiler uses and every browser since 2022 has. */
const FEATURES = [
  "--enable-bulk-memory",
  "--enable-multivalue",
  "--enable-mutable-globals",
  "--enable-nontrapping-float-to-int",
  "--enable-reference-types",
  "--enable-sign-ext",
];

/** What makes the download smaller. Binaryen's `-Oz` makes a smaller file, but one that compresses worse. */
const PASSES = [
  "--dce",
  "--remove-unused-module-elements",
  "--rse",
  "--remove-unused-brs",
  "--optimize-instructions",
  "--reorder-locals",
  "--vacuum",
  "--duplicate-function-elimination",
  // With names, until the functions are in order.
  "--debuginfo",
];
const ORDERING = ["--reorder-functions-by-name", "--strip-debug", "--strip-producers"];

/** The WASM as compiled, whose functions still have names: what `npm run size` reads. */
export const namedWasm = join(root, ".cache/wasm/named.wasm");

const madeOf = (name) => [`${OUT}/${name}_bg.wasm`, `${OUT}/${name}.js`];

export const wasmOutputs = FILES.flatMap(({ name }) => madeOf(name));

/** Builds by `run`, and returns the size as a note. */
export async function buildWasm(run) {
  const crates = FILES.flatMap(({ crate }) => ["-p", crate]);
  await run("cargo", ["build", "--locked", ...crates, "--profile", "wasm", "--target", TARGET]);
  await buildTools(run);
  // What an earlier version made would be packed with what this one makes.
  rmSync(join(root, "wasm/dist"), { recursive: true, force: true });
  for (const { crate, name } of FILES) {
    await bind(run, join(targetDir, TARGET, "wasm", `${crate.replaceAll("-", "_")}.wasm`), name);
  }
  await run("npm", ["run", "build", "-w", "enfilade"]);
  return checkSize();
}

/** Makes a WASM file and its glue of what was compiled. */
async function bind(run, compiled, name) {
  await run(join(targetDir, "debug/bindgen"), [
    compiled,
    "--target",
    "web",
    "--omit-default-module-path",
    "--no-typescript",
    "--out-dir",
    OUT,
    "--out-name",
    name,
  ]);
  const wasm = join(OUT, `${name}_bg.wasm`);
  if (name === NAME) {
    mkdirSync(dirname(namedWasm), { recursive: true });
    copyFileSync(join(root, wasm), namedWasm);
  }
  const optimize = (passes) =>
    run("node", ["node_modules/binaryen/bin/wasm-opt", wasm, ...passes, ...FEATURES, "-o", wasm]);
  await optimize(PASSES);
  writeFileSync(join(root, wasm), orderedBySimilarity(readFileSync(join(root, wasm))));
  await optimize(ORDERING);
  const glue = join(OUT, `${name}.js`);
  await run("node", ["node_modules/rolldown/bin/cli.mjs", glue, "--minify", "--format", "esm", "-o", glue]);
}

/** Builds `bindgen` and `bindgen-test-runner`. With the features of the whole workspace, as the tests share them. */
export async function buildTools(run) {
  await run("cargo", [
    "build",
    "--locked",
    "--workspace",
    "--bin",
    "bindgen",
    "--bin",
    "bindgen-test-runner",
  ]);
}

function checkSize() {
  const sizeOf = (path) => gzipSync(readFileSync(join(root, path)), { level: 9 }).length;
  const [wasm, glue] = madeOf(NAME).map(sizeOf);
  const [testing, testingGlue] = madeOf(TESTING).map(sizeOf);
  const total = wasm + glue;
  const text =
    `${thousands(total)} bytes gzip: WASM ${thousands(wasm)}, glue ${thousands(glue)}; ` +
    `for testing ${thousands(testing + testingGlue)} more`;
  if (total > LIMIT_BYTES) {
    throw new Failure(
      `${text}; the limit is ${thousands(LIMIT_BYTES)}`,
      "`npm run size` lists what it is made of; `cargo tree -p enfilade-wasm-module -e normal` lists the libraries",
    );
  }
  const beyond = total - GOAL_BYTES;
  return beyond > 0 ? `${text}; ${thousands(beyond)} beyond the goal of ${thousands(GOAL_BYTES)}` : text;
}

function thousands(number) {
  return number.toLocaleString("en-US");
}

if (import.meta.filename === process.argv[1]) {
  // Not awaited: the steps import this module, and would wait for it to be done.
  import("./lib/build.mjs")
    .then(({ build }) => build("wasm"))
    .then(() => console.log(checkSize()))
    .catch(() => process.exit(1));
}
