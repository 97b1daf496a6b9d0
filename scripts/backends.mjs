// Gets the real servers that tests run against: Redis from the machine, the jars of a MongoDB-compatible server and of
// a Kafka broker into target/backends. `tests/backends` starts and stops them.

import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { requireParts } from "./lib/machine.mjs";
import { Failure, root, step } from "./lib/run.mjs";
import { fingerprint, isFresh, remember } from "./lib/stamps.mjs";

/** Where it all goes, whatever folder Cargo builds in. */
const folder = join(root, "target/backends");

const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/** By `run`, as far as it is not there yet. */
export async function installBackends(run) {
  await requireParts(["redis", "redisCli", "jdk", "maven"]);
  for (const name of ["mongo", "kafka"]) {
    const source = join("tests/backends", name);
    const lib = join(folder, name, "lib");
    const print = fingerprint([source]);
    if (isFresh(`backend-${name}`, print, [lib])) continue;
    mkdirSync(lib, { recursive: true });
    const args = ["-q", "-B", "-f", join(root, source, "pom.xml"), COPY];
    await run("mvn", [...args, "-DincludeScope=runtime", `-DoutputDirectory=${lib}`], {
      advice: "is Maven Central in reach?",
    });
    if (!readdirSync(lib).some((file) => file.endsWith(".jar"))) throw new Failure(`no jar in ${lib}`);
    remember(`backend-${name}`, print);
  }
  await compileMongo(run);
}

/** The class that starts the MongoDB-compatible server. */
async function compileMongo(run) {
  const source = "tests/backends/mongo/TestMongo.java";
  const home = join(folder, "mongo");
  const classes = join(home, "classes");
  const print = fingerprint([source]);
  if (isFresh("backend-mongo-classes", print, [classes])) return;
  await run("javac", ["-cp", join(home, "lib/*"), "-d", classes, join(root, source)]);
  remember("backend-mongo-classes", print);
}

if (import.meta.filename === process.argv[1]) {
  try {
    await step("backends", "Redis, MongoDB-compatible server and Kafka", installBackends);
  } catch {
    process.exit(1);
  }
}
