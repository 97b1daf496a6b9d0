// Builds the Kotlin package: the library, the bindings that are generated from it (Swift's too, to see that they can
// be), and the jar with everything that it needs beside it.

import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { root, targetDir } from "./lib/run.mjs";
import { isFresh, remember } from "./lib/stamps.mjs";

const folder = join(root, "ffi/kotlin");
const bindings = join(folder, "target/bindings");

export const kotlinOutputs = ["ffi/kotlin/target/enfilade-0.1.0.jar"];

/** What the JVM needs to run the package: `-cp` with this, and this property. */
export const kotlinClassPath = ["target/classes", "target/test-classes", "target/lib/*"]
  .map((path) => join(folder, path))
  .join(":");
export const kotlinProperties = [`-Djna.library.path=${join(targetDir, "debug")}`];

/**
 * Builds by `run`. The library is not optimised: the tests ask whether it is right, and it is built in half the time.
 * With the features of the whole workspace, as the tests in Rust share nearly all of it.
 */
export async function buildKotlin(run) {
  const tested = ["--workspace", "--features", "enfilade-ffi/conformance"];
  await run("cargo", ["build", "--locked", ...tested, "--lib", "--bin", "generate-bindings"]);
  await run(join(targetDir, "debug/generate-bindings"), [library(), "ffi", bindings]);
  // Maven leaves the classes of sources that are gone.
  for (const made of ["classes", "test-classes"])
    rmSync(join(folder, "target", made), { recursive: true, force: true });
  await maven(run, "package", ["-DskipTests"]);
}

/** Runs Maven. It asks the network for nothing once the same goal has succeeded with the same `pom.xml`. */
export async function maven(run, goal, options = []) {
  const pom = join(folder, "pom.xml");
  const print = createHash("sha256").update(readFileSync(pom)).digest("hex");
  const stamp = `maven-${goal.replaceAll(":", "-")}`;
  const offline = isFresh(stamp, print, [join(homedir(), ".m2/repository")]) ? ["--offline"] : [];
  const properties = [
    `-Denfilade.library=${join(targetDir, "debug")}`,
    `-Denfilade.bindings=${bindings}/kotlin`,
  ];
  const advice = "is Maven Central in reach? Behind a proxy, set it in ~/.m2/settings.xml";
  await run(
    "mvn",
    ["--batch-mode", "--no-transfer-progress", "--file", pom, ...offline, ...properties, ...options, goal],
    { advice },
  );
  remember(stamp, print);
}

function library() {
  const names = ["libenfilade_ffi.so", "libenfilade_ffi.dylib", "enfilade_ffi.dll"];
  const paths = names.map((name) => join(targetDir, "debug", name));
  return paths.find((path) => existsSync(path)) ?? paths[0];
}

if (import.meta.filename === process.argv[1]) {
  // Not awaited: the steps import this module, and would wait for it to be done.
  import("./lib/build.mjs").then(({ build }) => build("kotlin")).catch(() => process.exit(1));
}
