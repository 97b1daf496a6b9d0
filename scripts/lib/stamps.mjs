// A stamp remembers what a step was made from, so that a step whose inputs are the same is not done again.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, targetDir } from "./run.mjs";

/** Folders that hold what was made, not what it is made from. A `dist` that is named as an input itself counts. */
const MADE = new Set(["target", "node_modules", "dist", "artifacts"]);

/** The hash of all files in `inputs` (paths from the root), of their names, and of what else decides a build. */
export function fingerprint(inputs) {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([process.version, targetDir, process.env.RUSTFLAGS ?? ""]));
  for (const path of inputs) addPath(hash, path);
  return hash.digest("hex");
}

/** Whether `name` was made from exactly this, and what it made is still there. */
export function isFresh(name, print, outputs) {
  const path = stampPath(name);
  if (!existsSync(path) || readFileSync(path, "utf8") !== print) return false;
  return outputs.every((output) => existsSync(output));
}

export function remember(name, print) {
  mkdirSync(join(root, ".cache/stamps"), { recursive: true });
  writeFileSync(stampPath(name), print);
}

function stampPath(name) {
  return join(root, ".cache/stamps", name);
}

function addPath(hash, path) {
  const full = join(root, path);
  let entries;
  try {
    entries = readdirSync(full, { withFileTypes: true });
  } catch (error) {
    if (error.code === "ENOTDIR") hash.update(`${path}\0`).update(readFileSync(full)).update("\0");
    else if (error.code === "ENOENT") hash.update(`${path} is missing\0`);
    else throw error;
    return;
  }
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (!MADE.has(entry.name)) addPath(hash, `${path}/${entry.name}`);
  }
}
