// `npm run build`: makes what is not up to date, the server with the demo in it unless other steps are named.

import { build } from "./lib/build.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { Failure } from "./lib/run.mjs";

try {
  requireToolchain();
  const steps = process.argv.slice(2);
  const done = await build(...(steps.length > 0 ? steps : ["server"]));
  if (done.length === 0) console.log("everything is up to date");
} catch (error) {
  // A step has said already what failed in it.
  if (error.seconds === undefined) {
    console.error(error instanceof Failure ? error.message : error.stack);
    if (error.advice) console.error(`What to do: ${error.advice}`);
  }
  process.exit(1);
}
