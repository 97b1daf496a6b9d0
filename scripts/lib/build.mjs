// The steps that make the product, in order. `npm start` does them all; a stage of `npm test` those that it needs.

import { utimesSync } from "node:fs";
import { join } from "node:path";
import { buildKotlin, kotlinOutputs } from "../build-kotlin.mjs";
import { buildWasm, wasmOutputs } from "../build-wasm.mjs";
import { installedTargets, requireParts } from "./machine.mjs";
import { root, step, targetDir } from "./run.mjs";
import { fingerprint, isFresh, remember } from "./stamps.mjs";

export const serverBinary = join(targetDir, "release/enfilade");

const RUST = ["Cargo.toml", "Cargo.lock", "proto", "core"];

const STEPS = {
  packages: {
    what: "npm packages",
    // What each package.json asks for is in the lock; their scripts do not matter here.
    inputs: ["package-lock.json"],
    outputs: ["node_modules/.package-lock.json"],
    advice:
      "a lock that is out of step is mended by `npm install`; whether the registry is in reach tells `npm ping`",
    work: (run, { advice }) => run("npm", ["ci", "--no-audit", "--no-fund"], { advice }),
  },
  wasm: {
    what: "WASM package",
    after: ["packages"],
    inputs: [...RUST, "wasm", "tools", "scripts/build-wasm.mjs", "package-lock.json"],
    outputs: wasmOutputs,
    work: async (run) => {
      await requireTargets(run, ["wasm32-unknown-unknown"]);
      return buildWasm(run);
    },
  },
  demo: {
    what: "web demo",
    after: ["wasm"],
    inputs: ["web-demo", "wasm/dist", "package-lock.json"],
    outputs: ["web-demo/dist/index.html"],
    work: (run) => run("npm", ["run", "build", "-w", "web-demo"]),
  },
  server: {
    what: "release server",
    after: ["demo"],
    inputs: [...RUST, "server", "web-demo/dist"],
    outputs: [serverBinary],
    work: (run) => {
      // Cargo sees when a file of the demo has changed, but not that there is a new one: it looks at the date of the
      // source that embeds them.
      const now = new Date();
      utimesSync(join(root, "server/src/http/assets.rs"), now, now);
      return run("cargo", ["build", "--release", "--locked", "-p", "enfilade-server", "--bin", "enfilade"]);
    },
  },
  kotlin: {
    what: "Kotlin package",
    inputs: [...RUST, "ffi", "tools/uniffi-bindgen", "scripts/build-kotlin.mjs"],
    outputs: kotlinOutputs,
    work: async (run) => {
      await requireParts(["jdk", "maven"]);
      return buildKotlin(run);
    },
  },
};

/** Does the named steps and those before them, as far as they are not up to date. Returns the names of those done. */
export async function build(...names) {
  const done = [];
  for (const name of inOrder(names)) {
    const { what, inputs, outputs, work, ...rest } = STEPS[name];
    const made = outputs.map((path) => (path.startsWith("/") ? path : join(root, path)));
    const print = fingerprint(inputs);
    if (isFresh(name, print, made)) continue;
    if (name !== "packages") await requireParts(["linker", "make", "cxx"]);
    await step(name, what, (run) => work(run, rest));
    // The inputs as they are now: `npm ci` and builds do not change them, an editor may have, and then it is stale.
    if (fingerprint(inputs) === print) remember(name, print);
    done.push(name);
  }
  return done;
}

/** Adds the targets that rustup does not have yet. */
export async function requireTargets(run, targets) {
  const installed = installedTargets();
  const missing = targets.filter((target) => !installed.includes(target));
  if (missing.length > 0)
    await run("rustup", ["target", "add", ...missing], { advice: "is rustup's server reachable?" });
}

function inOrder(names, seen = new Set()) {
  for (const name of names) {
    inOrder(STEPS[name].after ?? [], seen);
    seen.add(name);
  }
  return [...seen];
}
