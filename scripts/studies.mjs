// `npm run studies`: how many navigations find their room in the cache, beside other caches, and what one costs, natively
// and in WASM. Takes some minutes. libCacheSim comes from PyPI into a virtual environment; where it can't be had, its
// policies are left out, which is said.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireToolchain } from "./lib/machine.mjs";
import { root, targetDir } from "./lib/run.mjs";

const LIBCACHESIM = "0.3.5";
const WASM_ROUNDS = 15;

const folder = join(root, ".cache/studies");
const traces = join(folder, "traces");
const python = join(folder, "venv/bin/python");

const run = (command, args, options = {}) =>
  spawnSync(command, args, { cwd: root, stdio: "inherit", encoding: "utf8", maxBuffer: 1 << 28, ...options });
const must = (command, args, options) => {
  const done = run(command, args, options);
  if (done.status !== 0) process.exit(done.status ?? 1);
  return done;
};

requireToolchain();
mkdirSync(folder, { recursive: true });
must("cargo", [
  "build",
  "--release",
  "--locked",
  "-p",
  "enfilade-studies",
  "--features",
  "peers",
  "--bin",
  "eviction",
]);
const eviction = join(targetDir, "release/eviction");

const hits = libcachesim();
must(eviction, hits ? ["report", hits] : ["report"]);
await wasm();

/** A file of what libCacheSim's policies hit, or nothing. */
function libcachesim() {
  const isReady =
    (existsSync(python) || run("python3", ["-m", "venv", join(folder, "venv")]).status === 0) &&
    run(python, ["-m", "pip", "install", "--quiet", `libcachesim==${LIBCACHESIM}`]).status === 0;
  if (!isReady) {
    console.log("libCacheSim can't be installed: LIRS, S3-FIFO, SIEVE, W-TinyLFU, ARC and MQ are LEFT OUT.");
    return;
  }
  rmSync(traces, { recursive: true, force: true });
  must(eviction, ["traces", traces]);
  const file = join(folder, "libcachesim.tsv");
  const script = join(root, "tests/studies/peers.py");
  writeFileSync(file, must(python, [script, traces], { stdio: ["ignore", "pipe", "inherit"] }).stdout);
  console.log(`libCacheSim ${LIBCACHESIM} beside ours; there are no recorded traces in its package.\n`);
  return file;
}

async function wasm() {
  const target = "wasm32-unknown-unknown";
  must("cargo", [
    "build",
    "--release",
    "--locked",
    "--target",
    target,
    "-p",
    "enfilade-studies",
    "--bin",
    "eviction-wasm",
  ]);
  const binary = readFileSync(join(targetDir, target, "release/eviction-wasm.wasm"));
  const { instance } = await WebAssembly.instantiate(binary, {});
  const navigations = 21 * 30_000;
  instance.exports.main(0, 0);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < WASM_ROUNDS; round += 1) {
    const start = performance.now();
    instance.exports.main(0, 0);
    best = Math.min(best, performance.now() - start);
  }
  const nanoseconds = ((best * 1e6) / navigations).toFixed(1);
  console.log(
    `\ngf in WASM, Node ${process.version}, best of ${WASM_ROUNDS} rounds: ${nanoseconds} ns a navigation`,
  );
}
