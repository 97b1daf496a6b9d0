import { afterEach, describe, expect, test, vi } from "vitest";
import { socketUrl } from "../client.js";
import { EnfiladeError } from "../errors.js";
import type { StorageAdapter } from "../types.js";
import { fakeClient, message, settled } from "./fake-core.js";

afterEach(() => vi.unstubAllGlobals());

describe("messages", () => {
  test("a row keeps its identity while others come, go and are put before it", async () => {
    const { client, core } = fakeClient();
    const { messages } = client.room("a");
    core.receive("a", "one", "two", "three");
    await settled();
    const before = messages.getSnapshot();
    core.receive("a", "four");
    await settled();
    const after = messages.getSnapshot();
    expect(after.map(({ text }) => text)).toEqual(["one", "two", "three", "four"]);
    expect(after).not.toBe(before);
    for (const index of [0, 1, 2]) expect(after[index]).toBe(before[index]);

    core.drop("a", 3);
    core.receive("a", "five");
    await settled();
    const later = messages.getSnapshot();
    expect(later.map(({ text }) => text)).toEqual(["three", "four", "five"]);
    expect(later[0]).toBe(before[2]);

    core.prepend("a", [message({ id: "9-2", text: "older", ordinal: 2 })]);
    await settled();
    expect(messages.getSnapshot().map(({ text }) => text)).toEqual(["older", "three", "four", "five"]);
    expect(messages.getSnapshot()[1]).toBe(before[2]);
  });

  test("only what was added is pulled", async () => {
    const { client, core } = fakeClient();
    const { messages } = client.room("a");
    core.receive("a", ...Array.from({ length: 100 }, (_, index) => `${index}`));
    await settled();
    messages.getSnapshot();
    core.pulls.length = 0;
    core.receive("a", "new");
    await settled();
    messages.getSnapshot();
    expect(core.pulls).toEqual(["messages a 1"]);
  });

  test("a room that nobody looks at is not pulled at all", async () => {
    const { client, core } = fakeClient();
    client.room("a");
    core.receive("a", "one");
    await settled();
    expect(core.pulls).toEqual([]);
  });

  test("a replaced list keeps the rows that are the same", async () => {
    const { client, core } = fakeClient();
    const { messages } = client.room("a");
    core.receive("a", "one", "two");
    await settled();
    const [, two] = messages.getSnapshot();
    core.replace("a", [
      message({ id: "2-2", text: "two", ordinal: 2 }),
      message({ id: "3-3", text: "new", ordinal: 3 }),
    ]);
    await settled();
    expect(messages.getSnapshot()).toHaveLength(2);
    expect(messages.getSnapshot()[0]).toBe(two);
  });

  test("what is posted stands at the end at once, and keeps its id when it is confirmed", async () => {
    const { client, core } = fakeClient();
    const room = client.room("a");
    core.receive("a", "one");
    const id = room.post("mine", { mentions: ["ada"] });
    expect(room.messages.getSnapshot().map(({ status }) => status)).toEqual(["sent", "queued"]);
    core.confirm("a");
    await settled();
    const last = room.messages.getSnapshot().at(-1);
    expect(last).toMatchObject({ id, status: "sent", ordinal: 2, mine: true });
    expect(room.cancel(id)).toBe(false);
  });
});

describe("views", () => {
  test("a snapshot is the same object until something in it has changed", async () => {
    const { client, core } = fakeClient();
    const { view } = client.room("a");
    const users = [{ id: "ada", name: "Ada", liveness: "live" as const }];
    core.setView("a", { users, userCount: 1 });
    await settled();
    const first = view.getSnapshot();
    core.setView("a", {});
    await settled();
    expect(view.getSnapshot()).toBe(first);
    core.setView("a", { unread: 1 });
    await settled();
    expect(view.getSnapshot()).not.toBe(first);
    expect(view.getSnapshot().users).toBe(first.users);
    expect(view.getSnapshot().config).toBe(first.config);
  });

  test("rows of the room list keep their identity when their order changes", async () => {
    const { client, core } = fakeClient();
    const row = (id: string, unread: number) => ({
      id,
      name: id,
      topic: "",
      visibility: "public" as const,
      tier: "unloaded" as const,
      reason: { code: "", text: "" },
      lastActivity: 0,
      unread,
      mentions: 0,
      userCount: 0,
      users: [],
      memberCount: 0,
      following: false,
    });
    core.list([row("a", 0), row("b", 0)]);
    await settled();
    const [a] = client.rooms.getSnapshot();
    core.list([row("b", 1), row("a", 0)]);
    await settled();
    const after = client.rooms.getSnapshot();
    expect(after.map(({ id, unread }) => [id, unread])).toEqual([
      ["b", 1],
      ["a", 0],
    ]);
    expect(after[1]).toBe(a);
    core.list([row("b", 1)]);
    await settled();
    expect(client.rooms.getSnapshot()).toEqual([after[0]]);
    expect(client.rooms.getSnapshot()[0]).toBe(after[0]);
  });

  test("the room list is asked for while somebody watches it", () => {
    const { client, core } = fakeClient();
    const first = client.rooms.subscribe(() => {});
    const second = client.rooms.subscribe(() => {});
    first();
    first();
    second();
    expect(core.calls.filter((name) => name.startsWith("watch"))).toEqual([
      "watch_rooms true",
      "watch_rooms false",
    ]);
  });

  test("codes become errors that say what to do", async () => {
    const { client, core } = fakeClient();
    core.setConnection({ state: "failed", attempt: 0, error: 4503 });
    core.setView("a", { synced: "failed", error: 1005 });
    await settled();
    expect(client.connection.getSnapshot().error).toMatchObject({
      codeName: "unsupported_version",
      retry: "never",
    });
    expect(client.room("a").view.getSnapshot().error).toMatchObject({ codeName: "unknown_room" });
  });
});

describe("listeners", () => {
  test("are told once for everything that comes in within a frame", async () => {
    const { client, core } = fakeClient();
    const { messages } = client.room("a");
    core.receive("a", "first");
    await settled();
    let told = 0;
    messages.subscribe(() => {
      told += 1;
    });
    for (let index = 0; index < 50; index += 1) {
      core.receive("a", `${index}`);
      await Promise.resolve();
    }
    await settled();
    expect(told).toBeGreaterThan(0);
    expect(told).toBeLessThanOrEqual(3);
    expect(messages.getSnapshot()).toHaveLength(51);
  });

  test("may call commands, unsubscribe, and dispose of the client", async () => {
    const { client, core } = fakeClient();
    const room = client.room("a");
    let told = 0;
    const end = room.messages.subscribe(() => {
      told += 1;
      if (told < 3) room.post("again");
      else {
        end();
        client.dispose();
      }
    });
    core.receive("a", "one");
    await settled();
    expect(told).toBe(3);
    expect(core.disposed).toBe(true);
  });

  test("are never called from within a command", () => {
    const { client } = fakeClient();
    let told = false;
    client.room("a").messages.subscribe(() => {
      told = true;
    });
    client.room("a").post("one");
    expect(told).toBe(false);
  });

  test("that throw do not keep others from hearing", async () => {
    const { client, core } = fakeClient();
    const reported = vi.fn();
    vi.stubGlobal("reportError", reported);
    const heard = vi.fn();
    client.room("a").messages.subscribe(() => {
      throw new Error("mine");
    });
    client.room("a").messages.subscribe(heard);
    core.receive("a", "one");
    await settled();
    expect(heard).toHaveBeenCalled();
    expect(reported).toHaveBeenCalled();
  });
});

describe("commands", () => {
  test("throw the code by which the core refuses", () => {
    const { client } = fakeClient();
    expect(() => client.room("a").post("")).toThrow(EnfiladeError);
    expect(() => client.room("a").post("")).toThrow(/4,000 characters/);
  });

  test("throw after the client was disposed of, which may happen twice", () => {
    const { client } = fakeClient();
    const room = client.room("a");
    const release = room.acquire();
    client.dispose();
    client.dispose();
    expect(() => room.post("x")).toThrow(expect.objectContaining({ codeName: "disposed" }));
    expect(() => client.connect()).toThrow(expect.objectContaining({ codeName: "disposed" }));
    expect(room.view.getSnapshot().id).toBe("a");
    release();
  });

  test("a room is let go of once, whoever calls how often", () => {
    const { client, core } = fakeClient();
    const [first, second] = [client.room("a").acquire(), client.room("a").acquire()];
    first();
    first();
    expect(core.holders("a")).toBe(1);
    second();
    expect(core.holders("a")).toBe(0);
  });

  test("a room that can't be says so, and its commands throw", () => {
    const { client } = fakeClient();
    const room = client.room("not an id");
    room.acquire()();
    expect(room.view.getSnapshot()).toMatchObject({
      synced: "failed",
      error: { codeName: "invalid_room_id" },
    });
    expect(room.messages.getSnapshot()).toEqual([]);
    expect(() => room.post("x")).toThrow(expect.objectContaining({ codeName: "invalid_room_id" }));
  });
});

describe("events", () => {
  test("a rejection brings back the text that was written", async () => {
    const { client, core } = fakeClient();
    const room = client.room("a");
    const op = room.post("lost?");
    room.messages.getSnapshot();
    const rejected = vi.fn();
    client.on("rejected", rejected);
    core.say({ kind: "rejected", room: "a", op, code: 2001, retryAfter: 3_000, reason: "Wait." });
    await settled();
    const [event] = rejected.mock.calls[0] ?? [];
    expect(event).toMatchObject({ roomId: "a", opId: op, text: "lost?" });
    expect(event.error).toMatchObject({
      codeName: "slow_mode",
      retry: "later",
      retryAfter: 3_000,
      message: "Wait.",
    });
  });

  test("tokens are fetched one at a time, and again after a failure", async () => {
    vi.useFakeTimers();
    const token = vi.fn(async () => "fresh").mockRejectedValueOnce(new Error("no network"));
    const { client, core } = fakeClient({ token });
    const failed = vi.fn();
    client.on("error", failed);
    core.say({ kind: "token-needed" });
    core.say({ kind: "token-needed" });
    await vi.advanceTimersByTimeAsync(100);
    expect(failed).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(token).toHaveBeenCalledTimes(2);
    expect(core.calls).toContain("set_token fresh");
    vi.useRealTimers();
  });

  test("a fixed token that was refused is not offered again", async () => {
    const { client, core } = fakeClient({ token: "fixed" });
    const failed = vi.fn();
    client.on("error", failed);
    core.say({ kind: "token-needed" });
    await settled();
    core.say({ kind: "token-needed" });
    await settled();
    expect(core.calls.filter((name) => name === "set_token fixed")).toHaveLength(1);
    expect(failed).toHaveBeenCalledWith(expect.objectContaining({ codeName: "token_invalid" }));
  });
});

describe("records", () => {
  test("are given back before the first connection", async () => {
    const storage: StorageAdapter = {
      load: async () => [["op/1", Uint8Array.of(1)]],
      write: () => {},
    };
    const { client, core } = fakeClient({ storage });
    client.connect();
    expect(core.calls).toEqual([]);
    await settled();
    expect(core.calls).toEqual(["restore op/1", "connect"]);
  });

  test("of snapshots are read when they are asked for, from the adapter or, where it can't, from memory", async () => {
    const snapshot = ["snap/a", Uint8Array.of(1, 2)] as const;
    const read = vi.fn(async (key: string) => (key === "snap/a" ? Uint8Array.of(1, 2) : null));
    for (const more of [{ read }, {}]) {
      const storage: StorageAdapter = { load: () => [snapshot], write: () => {}, ...more };
      const { core } = fakeClient({ storage });
      await settled();
      core.load("snap/a");
      core.load("snap/b");
      await settled();
      expect(core.calls.slice(-2)).toEqual(["loaded snap/a 2", "loaded snap/b none"]);
    }
    expect(read).toHaveBeenCalledTimes(2);
  });

  test("that can't be kept are told once, and everything goes on", async () => {
    const write = vi.fn(() => {
      throw new DOMException("full", "QuotaExceededError");
    });
    const { client, core } = fakeClient({ storage: { load: () => [], write } });
    const told = vi.fn();
    client.on("storage", told);
    await settled();
    for (const key of ["a", "b"]) {
      core.persist([key, Uint8Array.of(1)]);
      await settled();
    }
    expect(write).toHaveBeenCalledTimes(1);
    expect(told).toHaveBeenCalledTimes(1);
    expect(client.room("a").post("x")).toBe("1-1");
  });

  test("are written in order, without two writes at once", async () => {
    const written: string[] = [];
    let atOnce = 0;
    const write: StorageAdapter["write"] = async (changes) => {
      atOnce += 1;
      expect(atOnce).toBe(1);
      await new Promise((done) => setTimeout(done, 5));
      written.push(...changes.map(([key]) => key));
      atOnce -= 1;
    };
    const { core } = fakeClient({ storage: { load: () => [], write } });
    for (const key of ["a", "b", "c"]) {
      core.persist([key, null]);
      await new Promise((done) => setTimeout(done, 3));
    }
    await settled();
    await settled();
    expect(written).toEqual(["a", "b", "c"]);
  });
});

test("the address of a server leads to its socket", () => {
  expect(socketUrl("http://localhost:8080")).toBe("ws://localhost:8080/ws");
  expect(socketUrl("https://chat.example/app/")).toBe("wss://chat.example/app/ws");
  expect(socketUrl("wss://chat.example/socket")).toBe("wss://chat.example/socket");
  expect(() => socketUrl("not an address")).toThrow();
});

test("reads a message again that was changed in its place, and keeps the other rows", async () => {
  const { client, core } = fakeClient();
  const room = client.room("a");
  core.receive("a", "one", "two", "three");
  await settled();
  const before = room.messages.getSnapshot();
  const told = vi.fn();
  room.messages.subscribe(told);
  room.edit("2-2", "better");
  room.react("2-2", "👍");
  await settled();
  const after = room.messages.getSnapshot();
  expect(after[1]).toMatchObject({ text: "better", edited: true, changing: true });
  expect(after[1]?.reactions).toEqual([{ reaction: "👍", users: ["ada"], mine: true }]);
  expect([after[0], after[2]]).toEqual([before[0], before[2]]);
  expect(after[0]).toBe(before[0]);
  expect(told).toHaveBeenCalled();
  room.pin("2-1");
  await settled();
  expect(room.pins.getSnapshot().map(({ id }) => id)).toEqual(["2-1"]);
});
