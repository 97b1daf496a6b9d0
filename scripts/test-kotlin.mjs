// Lints the Kotlin package; runs its tests, some of them against a real server, and counts them; then lets a Kotlin
// client and a window of the demo read each other.

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { maven } from "./build-kotlin.mjs";
import { serverBinary } from "./lib/build.mjs";
import { Failure, root } from "./lib/run.mjs";

const reports = join(root, "ffi/kotlin/target/surefire-reports");

const KTLINT = "1.8.0";

/** Tests by `run`, and returns the counts as a note. */
export async function testKotlin(run) {
  await lint(run);
  rmSync(reports, { recursive: true, force: true });
  await maven(run, "surefire:test", [`-Denfilade.server=${serverBinary}`]);
  const { tests, failures, errors, skipped } = counts();
  if (tests === 0) throw new Failure("no Kotlin test ran", "look at ffi/kotlin/target/surefire-reports");
  if (skipped > 0) throw new Failure(`${skipped} of ${tests} Kotlin tests were skipped`);
  if (failures + errors > 0) throw new Failure(`${failures + errors} of ${tests} Kotlin tests failed`);
  await run("node", ["tests/e2e/run.mjs", "kotlin.test.mjs"], {
    advice: "pictures are in tests/e2e/artifacts",
  });
  return `${tests} tests, and one with a browser`;
}

async function lint(run) {
  const folder = join(root, ".cache/tools");
  const jar = join(folder, `ktlint-cli-${KTLINT}-all.jar`);
  if (!existsSync(jar)) {
    const artifact = `com.pinterest.ktlint:ktlint-cli:${KTLINT}:jar:all`;
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";
    await maven(run, goal, [`-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]);
  }
  const advice = `\`java -jar ${relative(root, jar)} --format "ffi/kotlin/src/**/*.kt"\` mends most of it`;
  await run("java", ["-jar", jar, "--relative", "ffi/kotlin/src/**/*.kt"], { advice });
}

function counts() {
  const sum = { tests: 0, failures: 0, errors: 0, skipped: 0 };
  for (const name of readdirSync(reports).filter((file) => file.endsWith(".xml"))) {
    const [suite] = readFileSync(join(reports, name), "utf8").match(/<testsuite [^>]*>/);
    for (const key of Object.keys(sum))
      sum[key] += Number(suite.match(new RegExp(` ${key}="(\\d+)"`))?.[1] ?? 0);
  }
  return sum;
}

if (import.meta.filename === process.argv[1]) {
  const { build } = await import("./lib/build.mjs");
  const { step } = await import("./lib/run.mjs");
  try {
    await build("kotlin", "server");
    await step("kotlin-tests", "Kotlin on the JVM", testKotlin);
  } catch {
    process.exit(1);
  }
}
