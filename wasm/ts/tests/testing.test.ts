// Both WASM files as they are built: a client of the first against a server of the second, and its trace replayed there.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { type Client, createClient, init } from "../index.js";
import {
  initTesting,
  type LocalServer,
  redactTrace,
  replay,
  type SimulationStep,
  simulate,
  startServer,
} from "../testing/index.js";

const dist = join(import.meta.dirname, "../../dist/bindgen");
let server: LocalServer | undefined;

beforeAll(async () => {
  await init(readFileSync(join(dist, "enfilade_wasm_bg.wasm")));
  await initTesting(readFileSync(join(dist, "enfilade_testing_bg.wasm")));
});

afterEach(() => {
  server?.dispose();
  vi.unstubAllGlobals();
});

function serve(options?: Parameters<typeof startServer>[0]): LocalServer {
  server = startServer(options);
  vi.stubGlobal("WebSocket", server.WebSocket);
  return server;
}

function connected(token: string): Client {
  const client = createClient({ url: "http://alone", token, storage: null, record: 1_000_000 });
  client.connect();
  return client;
}

const texts = (client: Client, room: string) =>
  client
    .room(room)
    .messages.getSnapshot()
    .map(({ text, status }) => `${text} ${status}`);

test("a client works against a server in the process, through a break, and another sees it", async () => {
  const alone = serve();
  const ada = connected("ada Ada");
  const room = ada.createRoom({ name: "Lobby" });
  const release = room.acquire();
  room.post("hello");
  await vi.waitFor(() => expect(texts(ada, room.id)).toEqual(["hello sent"]));
  alone.cut();
  room.post("again");
  const bob = connected("bob Bob");
  bob.room(room.id).acquire();
  await vi.waitFor(() => expect(texts(bob, room.id)).toEqual(["hello sent", "again sent"]), 10_000);
  expect(alone.rooms()).toEqual([room.id]);
  release();
  ada.dispose();
  bob.dispose();
});

test("what the server stored is there when it starts again", async () => {
  const records = new Map<string, Uint8Array>();
  serve({ store: (key, value) => (value ? records.set(key, value) : records.delete(key)) });
  const ada = connected("ada");
  const room = ada.createRoom({ name: "Kept" });
  room.acquire();
  room.post("kept");
  await vi.waitFor(() => expect(texts(ada, room.id)).toEqual(["kept sent"]));
  ada.dispose();
  server?.dispose();

  const again = serve({ seed: 2, records: [...records] });
  expect(again.rooms()).toEqual([room.id]);
  const bob = connected("bob");
  bob.room(room.id).acquire();
  await vi.waitFor(() => expect(texts(bob, room.id)).toEqual(["kept sent"]));
  bob.dispose();
});

test("a session that one file has recorded happens again in the other, step by step", async () => {
  serve();
  const ada = connected("ada Ada");
  const room = ada.createRoom({ name: "Secret room" });
  room.acquire();
  room.post("a secret");
  await vi.waitFor(() => expect(texts(ada, room.id)).toEqual(["a secret sent"]));
  const trace = ada.trace();
  ada.dispose();
  if (!trace) throw new Error("nothing was recorded");

  const again = replay(trace);
  expect(again.about).toMatchObject({ full: false, redacted: false });
  expect(again.divergence()).toBeUndefined();
  const [last] = again.seek(again.about.steps);
  expect(last).toMatchObject({ index: again.about.steps - 1, exact: true });
  expect(again.room(room.id)).toMatchObject({ name: "Secret room", tier: "active", pending: 0 });
  expect(again.room(room.id)?.messages).toMatchObject([{ author: "ada", text: "a secret" }]);
  const steps = again.seek(3, 3);
  expect(steps.map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(again.room(room.id)?.messages ?? []).toEqual([]);
  again.dispose();

  const shared = replay(redactTrace(trace));
  expect(shared.about.redacted).toBe(true);
  expect(shared.divergence()).toBeUndefined();
  shared.seek(shared.about.steps);
  expect(shared.room(room.id)?.messages).toMatchObject([{ author: "ada", text: "x xxxxxx" }]);
  shared.dispose();
});

test("a trace that is damaged or of a newer version is refused with its code", async () => {
  serve();
  const ada = connected("ada");
  const trace = ada.trace();
  ada.dispose();
  if (!trace) throw new Error("nothing was recorded");
  const damaged = trace.slice();
  damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
  expect(() => replay(damaged)).toThrow(expect.objectContaining({ codeName: "trace_damaged" }));
  const newer = trace.slice();
  newer[4] = 99;
  expect(() => replay(newer)).toThrow(expect.objectContaining({ codeName: "trace_too_new" }));
});

test("a simulation ends the same each time, and well", () => {
  const script: SimulationStep[] = [
    { client: 0, create: "lobby", name: "Lobby" },
    { pass: 2_000 },
    { client: 0, acquire: "lobby" },
    { client: 1, acquire: "lobby" },
    { client: 1, join: "lobby" },
    { client: 0, post: "lobby", text: "one" },
    { cut: 0 },
    { client: 1, post: "lobby", text: "two" },
    { pass: 60_000 },
  ];
  const [first, second] = [simulate(7, 2, script), simulate(7, 2, script)];
  expect(first.wrong).toEqual([]);
  expect(
    first
      .room(0, "lobby")
      ?.messages.map(({ text }) => text)
      .sort(),
  ).toEqual(["one", "two"]);
  expect(second.room(1, "lobby")).toEqual(first.room(1, "lobby"));
});
