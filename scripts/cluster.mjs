// `npm run cluster`: two nodes behind one address, on a real Redis, a MongoDB-compatible server and Kafka, and a prompt
// at which each of them can be killed, paused and brought back while people write. All of it ends with this, and so
// does what was written.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { installBackends } from "./backends.mjs";
import { build, serverBinary } from "./lib/build.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { Failure, root, step, targetDir } from "./lib/run.mjs";

const BACKENDS = ["redis", "mongo", "kafka"];
const PORT = Number(process.env.PORT ?? 7700);
/** How often nodes are asked whether they take new clients. */
const PROBE_MS = 300;

const HELP = `
  kill NAME      SIGKILL: it ends in the midst of what it does
  pause NAME     SIGSTOP: it hangs, and its sockets stay open
  resume NAME    it goes on as if nothing had been
  restart NAME   it is started again, with what it had kept
  flush          Redis forgets everything (FLUSHALL)
  status         who is up, and what each node says of the others
  quit           the end

NAME is node-1, node-2, redis, mongo or kafka.
`;

const folder = mkdtempSync(join(tmpdir(), "enfilade-cluster-"));
const nodes = new Map();
let backends;

try {
  requireToolchain();
  await build("server");
  await step("backends", "Redis, MongoDB-compatible server and Kafka", async (run) => {
    await installBackends(run);
    await run("cargo", ["build", "--locked", "-p", "enfilade-backends", "--bin", "backends"]);
  });
  process.on("exit", end);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => process.exit(0));
  backends = await startBackends();
  const key = join(folder, "signing-key.pem");
  writeFileSync(key, execFileSync(serverBinary, ["key", "new"]), { mode: 0o600 });
  for (const name of ["node-1", "node-2"]) await startNode(name, key);
  await listen();
  console.log(`\nTwo nodes serve at http://127.0.0.1:${PORT}; open it in two windows.`);
  console.log(HELP);
  prompt(key);
} catch (error) {
  if (error.seconds === undefined) console.error(error instanceof Failure ? error.message : error.stack);
  if (error.advice) console.error(`What to do: ${error.advice}`);
  process.exit(1);
}

/** The three servers, as children of one process that ends them when its standard input does. */
async function startBackends() {
  const child = spawn(join(targetDir, "debug/backends"), { cwd: root, stdio: ["pipe", "pipe", "inherit"] });
  child.on("exit", (code) => {
    console.error(`the backends have ended (${code})`);
    process.exit(1);
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const addresses = {};
  while (Object.keys(addresses).length < BACKENDS.length) {
    const { value, done } = await answers.next();
    if (done) throw new Failure("the backends did not start");
    const [name, address] = value.split(" ");
    addresses[name] = address;
    console.log(`${name.padEnd(11)} ${address}`);
  }
  return {
    addresses,
    /** Done when it says so. */
    tell: async (command) => {
      child.stdin.write(`${command}\n`);
      return (await answers.next()).value;
    },
  };
}

async function startNode(name, key) {
  const { redis, mongo, kafka } = backends.addresses;
  const env = {
    ...process.env,
    ENFILADE_LISTEN: "127.0.0.1:0",
    ENFILADE_DATA_DIR: join(folder, name),
    ENFILADE_SIGNING_KEY: key,
    ENFILADE_STORE__KIND: "redis",
    ENFILADE_REDIS__URL: redis,
    ENFILADE_ARCHIVE__KIND: "mongodb",
    ENFILADE_MONGODB__URL: mongo,
    ENFILADE_EVENTS__KIND: "kafka",
    ENFILADE_KAFKA__BROKERS: kafka,
    ENFILADE_KAFKA__CREATE_TOPICS: "true",
  };
  const child = spawn(serverBinary, ["serve"], { cwd: root, env, stdio: ["ignore", "ignore", "pipe"] });
  const node = { name, child, port: undefined, isReady: false, sockets: 0 };
  nodes.set(name, node);
  let lastLine = "";
  await new Promise((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      const port = line.match(/serving at http:\/\/127\.0\.0\.1:(\d+)/)?.[1];
      if (port) {
        node.port = Number(port);
        resolve();
      }
      lastLine = line;
      if (/WARN|ERROR/.test(line)) console.log(`${name}  ${line}`);
    });
    child.on("exit", (code, signal) => {
      node.isReady = false;
      console.log(`${name} has ended (${signal ?? code})`);
      reject(new Failure(`${name} did not start: ${lastLine}`));
    });
  });
  console.log(`${name.padEnd(11)} http://127.0.0.1:${node.port}`);
  await probe(node);
}

async function probe(node) {
  try {
    const answer = await fetch(`http://127.0.0.1:${node.port}/readyz`, {
      signal: AbortSignal.timeout(1_000),
    });
    node.isReady = answer.ok;
    node.says = await answer.text();
  } catch (error) {
    node.isReady = false;
    node.says = error.message;
  }
}

/** One address for both: any node does for any client. */
function listen() {
  setInterval(() => [...nodes.values()].forEach(probe), PROBE_MS).unref();
  const proxy = createServer((client) => {
    const ready = [...nodes.values()].filter((node) => node.isReady);
    const node = ready.sort((a, b) => a.sockets - b.sockets)[0];
    if (!node) return client.destroy();
    const server = connect(node.port, "127.0.0.1");
    node.sockets += 1;
    client.pipe(server).pipe(client);
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
    server.on("close", () => {
      node.sockets -= 1;
      client.destroy();
    });
    client.on("close", () => server.destroy());
  });
  return new Promise((resolve, reject) => {
    proxy.on("error", (error) => {
      reject(
        new Failure(
          `can't listen on port ${PORT} (${error.code}); choose another: PORT=7800 npm run cluster`,
        ),
      );
    });
    proxy.listen(PORT, "127.0.0.1", resolve);
  });
}

function prompt(key) {
  const lines = createInterface({ input: process.stdin, output: process.stdout, prompt: "> " });
  lines.prompt();
  lines.on("line", async (line) => {
    const [command, name] = line.trim().split(/\s+/);
    await obey(command, name, key).catch((error) => console.error(error.message));
    lines.prompt();
  });
  // Without a terminal it serves until it is told to end.
  lines.on("close", () => process.stdin.isTTY && process.exit(0));
}

async function obey(command, name, key) {
  if (command === "") return;
  if (command === "quit") process.exit(0);
  if (command === "status") return status();
  if (command === "flush") return console.log(await backends.tell("flush redis"));
  const signals = { kill: "SIGKILL", pause: "SIGSTOP", resume: "SIGCONT" };
  const node = nodes.get(name);
  if (node && command === "restart") {
    node.child.kill("SIGKILL");
    return startNode(name, key);
  }
  if (node && signals[command]) return void node.child.kill(signals[command]);
  if (BACKENDS.includes(name) && [...Object.keys(signals), "restart"].includes(command)) {
    return console.log(await backends.tell(`${command} ${name}`));
  }
  console.log(HELP);
}

function status() {
  for (const { name, isReady, sockets, says } of nodes.values()) {
    console.log(`${name}: ${isReady ? "ready" : "not ready"}, ${sockets} sockets\n${says?.trim()}`);
  }
}

function end() {
  for (const { child } of nodes.values()) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
