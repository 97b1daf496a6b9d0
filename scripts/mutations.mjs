// `npm run mutations -- NAME…`: shows that scenarios notice. Each patch of `tests/mutations` takes one rule out of a
// copy of the sources; the scenario of the same name must then fail. Without arguments: all of them.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./lib/run.mjs";

/** A scenario takes seconds; one that takes longer hangs, which counts as failing too. */
const LIMIT_SECONDS = 120;

const folder = join(root, ".cache/mutations");
const tree = join(folder, "tree");
const environment = {
  ...process.env,
  CARGO_TARGET_DIR: join(folder, "target"),
  CARGO_PROFILE_DEV_DEBUG: "0",
  CARGO_TERM_COLOR: "never",
  RUST_BACKTRACE: "0",
  // The copy lies inside this repository, and is none.
  GIT_CEILING_DIRECTORIES: folder,
};

const patches = readdirSync(join(root, "tests/mutations"))
  .filter((file) => file.endsWith(".patch"))
  .map((file) => file.slice(0, -".patch".length));
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !patches.includes(name));
if (unknown.length > 0) {
  console.error(`No such patch: ${unknown.join(", ")}. There are:\n${patches.join("\n")}`);
  process.exit(2);
}

refresh();
console.log("The scenarios hold on the sources as they are:");
const whole = play([]);
if (!whole.built || !whole.holds) {
  console.error(whole.output);
  process.exit(1);
}
console.log(whole.output.trim());

let unnoticed = 0;
for (const name of asked.length > 0 ? asked : patches) {
  const verdict = mutate(name);
  unnoticed += verdict.noticed ? 0 : 1;
  console.log(`${verdict.noticed ? "noticed  " : "UNNOTICED"}  ${name}\n           ${verdict.how}`);
}
console.log(
  unnoticed === 0 ? "Every rule that was taken out was noticed." : `${unnoticed} were not noticed.`,
);
process.exit(unnoticed === 0 ? 0 : 1);

/** Takes one rule out, plays its scenario, and puts the rule back. */
function mutate(name) {
  const patch = join(root, "tests/mutations", `${name}.patch`);
  const applied = run("git", ["apply", "--recount", "-C1", patch]);
  if (applied.status !== 0) return { noticed: false, how: `it does not apply: ${applied.stderr.trim()}` };
  try {
    const played = play([name]);
    if (!played.built) return { noticed: false, how: `it does not compile:\n${played.output}` };
    if (played.holds) return { noticed: false, how: "the scenario holds all the same" };
    return { noticed: true, how: reason(played.output) };
  } finally {
    refresh();
  }
}

/** Builds, and plays these scenarios, or all. */
function play(names) {
  const built = run("cargo", ["build", "--quiet", "--locked", "-p", "enfilade-tests", "--bin", "scenario"]);
  if (built.status !== 0) return { built: false, output: built.stderr };
  const played = run(join(folder, "target/debug/scenario"), names, { timeout: LIMIT_SECONDS * 1000 });
  return { built: true, holds: played.status === 0, output: `${played.stdout}${played.stderr}` };
}

function run(program, args, options = {}) {
  return spawnSync(program, args, { cwd: tree, env: environment, encoding: "utf8", ...options });
}

/** What the scenario says: the line after that of the panic. */
function reason(output) {
  const lines = output.split("\n").map((line) => line.trim());
  const panic = lines.findIndex((line) => line.includes("panicked at"));
  const said = lines.slice(panic + 1).filter((line) => line !== "" && !line.startsWith("note:"));
  return panic < 0 ? `it did not end within ${LIMIT_SECONDS} s` : said.slice(0, 3).join(" ").slice(0, 160);
}

/**
 * Makes the copy like the sources, committed or not. What is the same is left alone, so that little is built again; what
 * is not is written anew, since a build goes by the time of writing.
 */
function refresh() {
  const list = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const files = list.stdout.split("\0").filter((file) => file !== "" && existsSync(join(root, file)));
  mkdirSync(tree, { recursive: true });
  for (const file of files) {
    const [from, to] = [join(root, file), join(tree, file)];
    const bytes = readFileSync(from);
    if (existsSync(to) && readFileSync(to).equals(bytes)) continue;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, bytes);
  }
  const known = new Set(files);
  const copied = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  for (const entry of copied) {
    const path = join(entry.parentPath, entry.name);
    if (!known.has(path.slice(tree.length + 1))) rmSync(path);
  }
}
