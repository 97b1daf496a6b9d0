// What this machine must have. A missing part is installed where that is possible, and otherwise named.

import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { Failure, Skipped, step } from "./run.mjs";

const isCi = Boolean(process.env.CI) && process.env.CI !== "false";
const mayInstall = existsSync("/etc/debian_version") && process.getuid?.() === 0;

/** Programs that some stage asks for: where they may be, and Debian's packages for them. */
const PARTS = {
  linker: { programs: ["cc"], packages: ["gcc", "libc6-dev"] },
  chromium: {
    variable: "CHROMIUM_BIN",
    programs: ["chromium", "chromium-browser", "google-chrome"],
    packages: ["chromium"],
  },
  chromedriver: { variable: "CHROMEDRIVER", programs: ["chromedriver"], packages: ["chromium-driver"] },
  jdk: { programs: ["javac"], packages: ["default-jdk-headless"] },
  maven: { programs: ["mvn"], packages: ["maven"] },
  // Kafka's client is built from its C sources.
  make: { programs: ["make"], packages: ["make"] },
  cxx: { programs: ["g++"], packages: ["g++"] },
  redis: { variable: "REDIS_SERVER", programs: ["redis-server"], packages: ["redis-server"] },
  redisCli: { variable: "REDIS_CLI", programs: ["redis-cli"], packages: ["redis-tools"] },
};

/** The first thing said when Rust or Node are not there, as nothing goes without them. */
export function requireToolchain() {
  if (Number(process.versions.node.split(".")[0]) < 20) {
    throw new Failure(
      `Node ${process.version} is too old`,
      "install Node 20 or newer from https://nodejs.org",
    );
  }
  // A new rustup is not on the PATH of shells that were open before it, nor in those of most CI.
  if (!find("cargo") && process.env.HOME) {
    process.env.PATH += delimiter + join(process.env.HOME, ".cargo/bin");
  }
  if (!find("cargo") || !find("rustup")) {
    throw new Failure(
      "Rust is not installed",
      "install it with rustup, see https://rustup.rs, and open a new shell",
    );
  }
}

/** Sees to it that the parts are there. Sets each part's variable to the path of its program. */
export async function requireParts(names) {
  const missing = names.filter((name) => !locate(PARTS[name]));
  if (missing.length === 0) return;
  const packages = missing.flatMap((name) => PARTS[name].packages);
  const command = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  if (mayInstall) {
    await step("machine", `installing ${packages.join(", ")}`, async (run) => {
      const env = { DEBIAN_FRONTEND: "noninteractive" };
      const advice = `look at the log, then try \`${command}\` yourself`;
      await run("apt-get", ["update"], { env, advice });
      await run("apt-get", command.split(" ").slice(1), { env, advice });
    });
    const still = missing.filter((name) => !locate(PARTS[name]));
    if (still.length === 0) return;
    throw new Failure(`${still.join(", ")}: still not found after \`${command}\``);
  }
  const text = `${missing.join(", ")} not found; on Debian: \`sudo ${command}\``;
  if (isCi) throw new Failure(text);
  throw new Skipped(text);
}

/** The targets that rustup has installed. */
export function installedTargets() {
  return execFileSync("rustup", ["target", "list", "--installed"], { encoding: "utf8" }).trim().split("\n");
}

function locate({ variable, programs }) {
  const path = (variable && process.env[variable]) || programs.map(find).find(Boolean);
  if (path && variable) process.env[variable] = path;
  return path;
}

function find(program) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
