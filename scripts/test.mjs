// `npm test`: every check there is, stage by stage. `npm test -- STAGE…` runs some, `npm test -- --list` names them.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { installBackends } from "./backends.mjs";
import { buildTools } from "./build-wasm.mjs";
import { build, requireTargets } from "./lib/build.mjs";
import { checkDependencies } from "./lib/deny.mjs";
import { requireParts, requireToolchain } from "./lib/machine.mjs";
import { Failure, root, Skipped, step, targetDir } from "./lib/run.mjs";
import { testKotlin } from "./test-kotlin.mjs";

/** No warnings anywhere: what is tolerated once is never looked at again. */
const STRICT = ["--", "-D", "warnings"];

/**
 * In order: what is quick comes first. `needs` are parts of the machine, `builds` are steps of the build that must be
 * up to date; both are seen to before the stage begins. To add a stage, add an entry.
 */
const STAGES = [
  {
    name: "format",
    what: "rustfmt, and Biome's formatter and linter",
    builds: ["packages"],
    work: async (run) => {
      await run("cargo", ["fmt", "--all", "--check"], { advice: "run `npm run format`" });
      const fuzz = ["--manifest-path", "fuzz/Cargo.toml"];
      await run("cargo", ["fmt", ...fuzz, "--check"], { advice: "run `npm run format`" });
      await run("node_modules/.bin/biome", ["ci", "--colors=off", "--error-on-warnings"], {
        advice: "run `npm run format`; what is left says why",
      });
    },
  },
  {
    name: "scripts",
    what: "these scripts' own tests",
    work: (run) => {
      const tests = readdirSync(join(root, "scripts/lib")).filter((file) => file.endsWith(".test.mjs"));
      return run("node", ["--test", ...tests.map((file) => join("scripts/lib", file))]);
    },
  },
  {
    name: "deploy",
    what: "compose.yaml and the Kubernetes manifests",
    builds: ["packages"],
    work: async (run) => (await import("../deploy/check.mjs")).checkDeploy(run),
  },
  {
    name: "core",
    what: "core for a machine without an operating system",
    work: async (run) => {
      await requireTargets(run, ["wasm32v1-none"]);
      await run("cargo", ["check", "--locked", "-p", "enfilade-core", "--target", "wasm32v1-none"]);
    },
  },
  {
    name: "clippy",
    what: "clippy, natively and for browsers",
    work: async (run) => {
      await requireTargets(run, ["wasm32-unknown-unknown"]);
      await run("cargo", ["clippy", "--locked", "--workspace", "--all-targets", ...STRICT]);
      const wasm = ["clippy", "--locked", "--target", "wasm32-unknown-unknown"];
      await run("cargo", [...wasm, "-p", "enfilade-wasm", "--all-targets", ...STRICT]);
      await run("cargo", [...wasm, "-p", "enfilade-wasm-module", ...STRICT]);
    },
  },
  {
    name: "deny",
    what: "dependencies",
    work: checkDependencies,
  },
  {
    name: "tidy",
    what: "the repository's own rules",
    work: (run) => run("cargo", ["test", "--locked", "--workspace", "--test", "tidy"]),
  },
  {
    name: "backends",
    what: "the real Redis, MongoDB-compatible server and Kafka that tests run against",
    work: installBackends,
  },
  {
    name: "rust",
    what: "unit, integration and documentation tests",
    work: async (run) => {
      await run("cargo", ["test", "--locked", "--workspace", "--no-fail-fast"]);
      return countTests(run);
    },
  },
  {
    name: "wasm",
    what: "WASM package and its size",
    builds: ["wasm"],
  },
  {
    name: "typescript",
    what: "types and tests of the npm packages",
    builds: ["wasm"],
    work: async (run) => {
      await run("npm", ["run", "typecheck", "--workspaces", "--if-present"]);
      await run("npm", ["test", "--workspaces", "--if-present"]);
    },
  },
  {
    name: "demo",
    what: "web demo",
    builds: ["demo"],
  },
  {
    name: "server",
    what: "release server",
    builds: ["server"],
  },
  {
    name: "browser",
    what: "WASM tests in headless Chromium",
    needs: ["chromium", "chromedriver"],
    work: async (run) => {
      await requireTargets(run, ["wasm32-unknown-unknown"]);
      await buildTools(run);
      const env = {
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: join(targetDir, "debug/bindgen-test-runner"),
        WASM_BINDGEN_TEST_WEBDRIVER_JSON: join(root, "scripts/webdriver.json"),
      };
      await run("cargo", ["test", "--locked", "-p", "enfilade-wasm", "--target", "wasm32-unknown-unknown"], {
        env,
      });
      return countTests(run);
    },
  },
  {
    name: "kotlin",
    what: "Kotlin on the JVM, with a real server and a browser",
    needs: ["jdk", "maven", "chromium"],
    builds: ["kotlin", "server"],
    work: testKotlin,
  },
  {
    name: "e2e",
    what: "two windows in Chromium, and a killed server",
    needs: ["chromium"],
    builds: ["server"],
    work: (run) => run("node", ["tests/e2e/run.mjs"], { advice: "pictures are in tests/e2e/artifacts" }),
  },
];

const chosen = choose(process.argv.slice(2));
const results = [];
try {
  requireToolchain();
  for (const stage of chosen) results.push(await runStage(stage));
} catch (error) {
  console.error(error instanceof Failure ? error.message : error.stack);
  if (error.advice) console.error(`What to do: ${error.advice}`);
  process.exit(1);
}
summarise(results);

/** How many tests the runs of `cargo test` in this step have passed. None is a failure: it is not what was meant. */
function countTests(run) {
  const counts = [...run.output().matchAll(/^test result: ok\. (\d+) passed/gm)].map((match) =>
    Number(match[1]),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) throw new Failure("no test ran");
  return `${total} tests`;
}

function choose(names) {
  if (names.includes("--list")) {
    for (const { name, what } of STAGES) console.log(`${name.padEnd(12)}${what}`);
    process.exit(0);
  }
  const unknown = names.filter((name) => !STAGES.some((stage) => stage.name === name));
  if (unknown.length > 0) {
    console.error(`No such stage: ${unknown.join(", ")}. \`npm test -- --list\` names them.`);
    process.exit(2);
  }
  return names.length === 0 ? STAGES : STAGES.filter((stage) => names.includes(stage.name));
}

/** A failed stage does not end the run: the next ones tell more. */
async function runStage({ name, what, needs = [], builds = [], work }) {
  const began = performance.now();
  const done = (result) => ({ name, result, seconds: (performance.now() - began) / 1000 });
  try {
    if (work) await requireParts(["linker", "make", "cxx"]);
    await requireParts(needs);
    const built = await build(...builds);
    if (work) await step(name, what, work);
    else if (built.length === 0) console.log(`${name.padEnd(12)}${what} … up to date`);
    return done("passed");
  } catch (error) {
    // A step has said already what happened in it.
    if (error.seconds === undefined) console.log(`${name.padEnd(12)}${what} … ${reason(error)}`);
    return done(error instanceof Skipped ? "skipped" : "failed");
  }
}

function reason(error) {
  if (error instanceof Skipped) return `SKIPPED: ${error.message}`;
  return `FAILED: ${error instanceof Failure ? error.message : error.stack}`;
}

function summarise(all) {
  console.log("");
  for (const { name, result, seconds } of all) {
    console.log(`${name.padEnd(12)}${result.padEnd(9)}${seconds.toFixed(1).padStart(8)} s`);
  }
  const total = all.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(`${"".padEnd(21)}${total.toFixed(1).padStart(8)} s\n`);
  const count = (result) => all.filter((stage) => stage.result === result).length;
  const skipped = count("skipped") > 0 ? `, ${count("skipped")} skipped` : "";
  console.log(`${count("passed")} passed, ${count("failed")} failed${skipped}`);
  process.exitCode = count("failed") > 0 ? 1 : 0;
}
