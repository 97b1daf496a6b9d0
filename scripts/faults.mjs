// `npm run faults`: kills, pauses, empties and cuts off real servers under load, with a checker that knows every
// acknowledged operation. Arguments are parts of the faults' names. It takes minutes; `npm test` has a short run.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { installBackends } from "./backends.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { root, step, targetDir } from "./lib/run.mjs";

try {
  requireToolchain();
  await step("backends", "the real servers that nodes rest on", installBackends);
  await step("faults", "nodes and the checker", (run) =>
    run("cargo", ["build", "--locked", "-p", "enfilade-faults"]),
  );
} catch (error) {
  if (error.seconds === undefined) console.error(error.message);
  process.exit(1);
}

const { status } = spawnSync(join(targetDir, "debug/faults"), process.argv.slice(2), {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
