import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, test } from "node:test";
import { Failure, root, Skipped, step } from "./run.mjs";

const name = "run-test";
let shown = "";

const quietly = (work) =>
  step(name, "something", work, (text) => {
    shown += text;
  });

afterEach(() => {
  shown = "";
  rmSync(join(root, ".cache/logs", `${name}.log`), { force: true });
});

test("a step that goes well is one line, with what it says of itself", async () => {
  await quietly(async (run) => {
    await run("node", ["--eval", "console.log('noise')"]);
    return `${run.output().match(/noise$/gm).length} noise`;
  });
  assert.match(shown, /^run-test +something … \d+\.\d s \(1 noise\)\n$/);
});

test("a step that fails shows what was printed, what failed, and what to do", async () => {
  const script = "console.error('\\u001b[31mthe reason\\u001b[0m'); process.exit(3)";
  const failing = quietly((run) => run("node", ["--eval", script], { advice: "mend it" }));
  await assert.rejects(failing, Failure);
  assert.match(shown, /FAILED after/);
  assert.match(shown, /^the reason$/m);
  assert.match(shown, /ended with exit code 3/);
  assert.match(shown, /^What to do: mend it$/m);
});

test("a program that is not there is named", async () => {
  await assert.rejects(
    quietly((run) => run("no-such-program", [])),
    /no-such-program is not installed/,
  );
});

test("a program that hangs is ended, with what it has started", async () => {
  const failing = quietly((run) => run("sh", ["-c", "sleep 60 & wait"], { limit: 0.2 }));
  await assert.rejects(failing, /did not end within 0.2 s/);
});

test("what can't run here is said loudly, and is no failure", async () => {
  const skipping = quietly(() => {
    throw new Skipped("no browser");
  });
  await assert.rejects(skipping, Skipped);
  assert.match(shown, /SKIPPED: no browser/);
});
