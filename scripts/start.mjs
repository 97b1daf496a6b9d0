// `npm start`: makes what is not up to date, then becomes the server. Arguments go to `enfilade serve`.

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { build, serverBinary } from "./lib/build.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { Failure, root } from "./lib/run.mjs";

/** A terminal sends Ctrl-C to npm and to us, and npm passes it on: one keypress, two signals. */
const SAME_SIGNAL_MS = 300;

try {
  requireToolchain();
  await build("server");
} catch (error) {
  // A step has said already what failed in it.
  if (error.seconds === undefined) {
    console.error(error instanceof Failure ? error.message : error.stack);
    if (error.advice) console.error(`What to do: ${error.advice}`);
  }
  process.exit(1);
}

const server = spawn(serverBinary, ["serve", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
  // Out of the terminal's group, so that a signal reaches the server once, through us.
  detached: true,
});

const passed = new Map();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    const now = Date.now();
    if (now - (passed.get(signal) ?? 0) > SAME_SIGNAL_MS) server.kill(signal);
    passed.set(signal, now);
  });
}

server.on("error", (error) => {
  console.error(`${serverBinary} can't be started: ${error.message}`);
  process.exit(1);
});
server.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
