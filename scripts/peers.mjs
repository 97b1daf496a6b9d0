// `npm run peers`: builds Enfilade and its peers, runs them in turns on this machine, and prints what a delivery and an
// idle connection cost. Arguments go to the runner (`npm run peers -- --help`). It takes minutes; let nothing else run.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { arch, cpus, platform, release } from "node:os";
import { join } from "node:path";
import { build, serverBinary } from "./lib/build.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { root, step, targetDir } from "./lib/run.mjs";

const BUN = "1.4.5";

const folder = join(root, ".cache/peers");
const binary = (name) => join(targetDir, "release", name);

try {
  requireToolchain();
  await build("server");
  await step("peers", "peers and the load client", async (run) => {
    await run("cargo", ["build", "--release", "--locked", "-p", "enfilade-peers"]);
    await run("cargo", ["build", "--release", "--locked", "-p", "enfilade-server", "--example", "fanout"]);
    mkdirSync(folder, { recursive: true });
    await run("npm", ["install", "--prefix", folder, "--no-save", "--no-audit", "--no-fund", `bun@${BUN}`]);
  });
} catch (error) {
  if (error.seconds === undefined) console.error(error.message);
  process.exit(1);
}

// The package's installer puts the binary in place of its launcher; where scripts are off, it stays where it came.
const bun = [
  join(folder, "node_modules/@oven", `bun-${platform()}-${arch()}`, "bin/bun"),
  join(folder, "node_modules/bun/bin/bun.exe"),
].find((path) => existsSync(path));
// The load client does not answer heartbeats, so their deadline is set beyond the measurement.
const enfilade = `${serverBinary} serve --listen 127.0.0.1:{port} --data-dir {data} --log-level error \
--set heartbeat_interval_ms=300000`;
const servers = [
  `enfilade=enfilade:${enfilade}`,
  `fan-out=plain:${binary("examples/fanout")}`,
  `bun=plain:${bun} ${join(root, "tests/peers/bun.ts")}`,
  `axum=plain:${binary("peer-axum")}`,
  `bound=plain:${binary("peer-raw")}`,
];
console.log(`Bun ${BUN}, axum 0.8.9 with tokio's broadcast channel, raw writes as the bound`);
console.log(`${cpus().length} cores (${cpus()[0]?.model}), ${platform()} ${release()}`);
const flags = servers.flatMap((server) => ["--server", server]);
const { status } = spawnSync(binary("peers"), [...flags, ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(status ?? 1);
