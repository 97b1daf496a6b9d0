// `npm run fuzz -- TARGET SECONDS`: explores one decoder or session with libFuzzer, from its seeds and its corpus.
// Without arguments: every target, a minute each. What is found lies in `fuzz/artifacts/TARGET`; keep it in
// `tests/corpus/TARGET` under a name that says what it is.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./lib/run.mjs";

const SECONDS = 60;
/** An input that takes longer is a finding: it would keep a server's core busy. */
const INPUT_LIMIT_SECONDS = 10;

const [chosen, seconds = String(SECONDS)] = process.argv.slice(2);
if (!/^[1-9]\d*$/.test(seconds)) fail(`Not a number of seconds: ${seconds}`);
need("cargo", ["+nightly", "--version"], "rustup toolchain install nightly");
need("cargo", ["fuzz", "--version"], "cargo install cargo-fuzz --locked");

const seeds = (...args) => [
  "run",
  "--quiet",
  "--locked",
  "-p",
  "enfilade-tests",
  "--bin",
  "make-seeds",
  ...args,
];
const targets = output("cargo", seeds()).trim().split("\n");
if (chosen && !targets.includes(chosen)) fail(`No such target: ${chosen}. There are: ${targets.join(", ")}`);

let found = 0;
for (const target of chosen ? [chosen] : targets) {
  const explored = join(root, "fuzz/corpus", target);
  const kept = join(root, "tests/corpus", target);
  mkdirSync(explored, { recursive: true });
  output("cargo", seeds("--", target, explored));
  const folders = existsSync(kept) ? [explored, kept] : [explored];
  const limits = [`-max_total_time=${seconds}`, `-timeout=${INPUT_LIMIT_SECONDS}`, "-max_len=65536"];
  console.log(`${target}: ${seconds} s`);
  // Our code has no unsafe blocks, so what is looked for are panics, and not what a sanitizer finds.
  const run = [
    "+nightly",
    "fuzz",
    "run",
    "--sanitizer=none",
    target,
    ...folders,
    "--",
    ...limits,
    "-print_final_stats=1",
  ];
  const { status } = spawnSync("cargo", run, { cwd: root, stdio: "inherit" });
  if (status !== 0) found += 1;
}
if (found > 0) fail(`${found} of the targets found something: see above, and fuzz/artifacts`);

function need(program, args, advice) {
  if (spawnSync(program, args, { cwd: root }).status !== 0) fail(`Fuzzing needs more: \`${advice}\``);
}

function output(program, args) {
  const { status, stdout } = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) fail(`\`${[program, ...args].join(" ")}\` failed`);
  return stdout;
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
