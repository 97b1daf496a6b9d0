// The server under test: the release binary on a free port of the loopback, with a data folder of its own.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { until } from "./until.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
const target = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const binary = process.env.ENFILADE_BIN ?? join(target, "release/enfilade");

/** The server reads its settings from variables of this prefix; those of whoever runs the tests are not meant for it. */
const withoutSettings = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith("ENFILADE_")),
);

/** How long a server may take until it answers; cold disks are slow. */
const START_MS = 20_000;
/** As much of its log as a failure is shown with. */
const LOG_LINES = 40;

export class Server {
  port;
  #folder;
  #process;
  #log = [];

  /** Starts a server on an empty folder. */
  static async start() {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "enfilade-e2e-"));
    server.port = await freePort();
    await server.start();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  get log() {
    return this.#log.slice(-LOG_LINES).join("\n");
  }

  /** Starts it on the port and the folder that it had. */
  async start() {
    const child = spawn(binary, ["serve", "--listen", `127.0.0.1:${this.port}`, "--data-dir", this.#folder], {
      env: withoutSettings,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => this.#log.push(...String(chunk).trimEnd().split("\n")));
    }
    child.on("error", (error) => this.#log.push(`${binary}: ${error.message}`));
    await until("the server answers", () => this.#alive() && this.#answers(), START_MS);
  }

  /** As a crash would: SIGKILL, by its id. */
  async kill() {
    const child = this.#process;
    const gone = new Promise((done) => child.once("exit", done));
    if (this.#alive()) {
      child.kill("SIGKILL");
      await gone;
    }
  }

  async dispose() {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #alive() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) return true;
    throw new Error(`the server has ended:\n${this.log}`);
  }

  async #answers() {
    try {
      return (await fetch(this.url)).ok;
    } catch {
      return false;
    }
  }
}

/**
 * A door in front of a server: pages and requests pass, the socket only while it is open. So a page can be loaded
 * while its socket can't.
 */
export class Door {
  port;
  #http;
  #sockets = new Set();
  #shut = false;

  static async before(server) {
    const door = new Door();
    door.#http = createServer((incoming, outgoing) => {
      const { method, url, headers } = incoming;
      const onward = request(
        { host: "127.0.0.1", port: server.port, method, path: url, headers },
        (answer) => {
          outgoing.writeHead(answer.statusCode, answer.headers);
          answer.pipe(outgoing);
        },
      );
      onward.on("error", () => outgoing.destroy());
      incoming.pipe(onward);
    });
    door.#http.on("upgrade", (incoming, socket, head) => door.#upgrade(server, incoming, socket, head));
    await new Promise((done) => door.#http.listen(0, "127.0.0.1", done));
    door.port = door.#http.address().port;
    return door;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Cuts the sockets that are open, and lets none through. */
  shut() {
    this.#shut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  open() {
    this.#shut = false;
  }

  async dispose() {
    this.shut();
    this.#http.closeAllConnections();
    await new Promise((done) => this.#http.close(done));
  }

  #upgrade(server, incoming, socket, head) {
    if (this.#shut) {
      socket.destroy();
      return;
    }
    const onward = connect(server.port, "127.0.0.1", () => {
      const headers = [];
      for (let at = 0; at < incoming.rawHeaders.length; at += 2) {
        headers.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}\r\n`);
      }
      onward.write(`${incoming.method} ${incoming.url} HTTP/1.1\r\n${headers.join("")}\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    for (const one of [socket, onward]) {
      this.#sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => {
        this.#sockets.delete(one);
        socket.destroy();
        onward.destroy();
      });
    }
  }
}

async function freePort() {
  const probe = createServer();
  await new Promise((done) => probe.listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}
