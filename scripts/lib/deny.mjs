// cargo-deny: licences, bans and sources of every dependency, and known vulnerabilities where their list is in reach.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root, targetDir } from "./run.mjs";

const VERSION = "0.20.2";
const ADVISORIES = "https://github.com/RustSec/advisory-db";
const REACH_SECONDS = 15;

/** Returns what was checked, as a note. */
export async function checkDependencies(run) {
  const deny = await install(run);
  await run(deny, ["check", "--hide-inclusion-graph", "licenses", "bans", "sources"], {
    advice: "deny.toml says what is allowed, and why",
  });
  if (!isReachable()) return `licences, bans, sources; advisories NOT checked: ${ADVISORIES} is out of reach`;
  await run(deny, ["check", "advisories"], {
    advice: "update the crate, or say in deny.toml why it does not matter",
  });
  return "licences, bans, sources, advisories";
}

/** Installs it once a version. Not optimised, as it is built in half the time and needs seconds either way. */
async function install(run) {
  const folder = join(root, ".cache/tools", `cargo-deny-${VERSION}`);
  const program = join(folder, "bin/cargo-deny");
  if (!existsSync(program)) {
    const options = ["--locked", "--debug", "--no-default-features", "--root", folder];
    const env = { CARGO_PROFILE_DEV_DEBUG: "false", CARGO_TARGET_DIR: join(targetDir, "cargo-deny") };
    await run("cargo", ["install", "cargo-deny", "--version", VERSION, ...options], { env });
  }
  return program;
}

function isReachable() {
  try {
    const env = { ...process.env, GIT_TERMINAL_PROMPT: "0" };
    execFileSync("git", ["ls-remote", ADVISORIES, "HEAD"], {
      env,
      stdio: "ignore",
      timeout: REACH_SECONDS * 1000,
    });
    return true;
  } catch {
    return false;
  }
}
