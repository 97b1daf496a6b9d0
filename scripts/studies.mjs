// `npm run studies`: how many navigations find their room in the cache, beside other caches, and what one costs, natively
// and in WASM; what a change of tier costs there. Takes some minutes. libCacheSim comes from PyPI into a virtual environment; where it can't be had, its
// policies are left out, which is said.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { requireToolchain } from "./lib/machine.mjs";
import { root, targetDir } from "./lib/run.mjs";

const LIBCACHESIM = "0.3.5";
const WASM_ROUNDS = 15;
const FAMILIES = 21;
const NAVIGATIONS = 30_000;
const TIER_ROUNDS = 200;

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
await tiers();

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

/** A binary of the studies whose `main` can be called again and again. */
async function wasmOf(name, profile) {
  const target = "wasm32-unknown-unknown";
  const options = ["--locked", "--profile", profile, "--target", target];
  must("cargo", ["build", ...options, "-p", "enfilade-studies", "--bin", name]);
  const binary = readFileSync(join(targetDir, target, profile, `${name}.wasm`));
  const { instance } = await WebAssembly.instantiate(binary, {});
  return () => instance.exports.main(0, 0);
}

/** Milliseconds by the clock. */
function timed(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

/** Milliseconds of CPU, so that what else the machine does counts as nothing. */
function spent(work) {
  const usage = process.threadCpuUsage ?? process.cpuUsage;
  const before = usage.call(process);
  work();
  const { user, system } = usage.call(process, before);
  return (user + system) / 1_000;
}

async function wasm() {
  const navigate = await wasmOf("eviction-wasm", "release");
  navigate();
  // Best of each family, since what disturbs only ever adds.
  const best = Array.from({ length: FAMILIES }, () => Number.POSITIVE_INFINITY);
  for (let call = 0; call < WASM_ROUNDS * FAMILIES; call += 1) {
    best[call % FAMILIES] = Math.min(best[call % FAMILIES], timed(navigate));
  }
  const sum = best.reduce((sum, milliseconds) => sum + milliseconds, 0);
  const nanoseconds = ((sum * 1e6) / (FAMILIES * NAVIGATIONS)).toFixed(1);
  console.log(
    `\ngf in WASM, Node ${process.version}, best of ${WASM_ROUNDS} rounds: ${nanoseconds} ns a navigation`,
  );
}

/** The order of calls is that of `tests/studies/src/bin/tiers-wasm.rs`. */
async function tiers() {
  const step = await wasmOf("tiers-wasm", "wasm");
  console.log(
    "\nA change of tier in WASM (built as the npm package is), milliseconds of CPU of the client alone",
  );
  console.log(
    "messages              open: median    p99    leave: median    p99    decompress + decode: median    p99",
  );
  for (const messages of [50, 500, 5_000]) {
    step();
    const rounds = [];
    for (let round = 0; round < TIER_ROUNDS; round += 1) {
      const took = Array.from({ length: 7 }, () => spent(step));
      rounds.push([took[0] + took[2], took[3] + took[5], took[6]]);
    }
    // The first are compiled.
    const warm = rounds.slice(TIER_ROUNDS / 4);
    const at = (place, share) =>
      warm
        .map((round) => round[place])
        .toSorted((a, b) => a - b)
        [Math.floor(share * (warm.length - 1))].toFixed(3);
    const cells = [0, 1, 2].map((place) => `${at(place, 0.5).padStart(16)} ${at(place, 0.99).padStart(7)}`);
    console.log(`${String(messages).padEnd(17)}${cells.join("   ")}`);
  }
}
