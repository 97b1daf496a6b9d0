// The package as it is built: `npm run build` has to come first.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { act, cleanup, render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { EnfiladeCore } from "../bindgen/enfilade_wasm.js";
import { createClient, EnfiladeError, init } from "../index.js";
import { EnfiladeProvider, useConnection, useRoom } from "../react/index.js";
import { FakeCore, settled } from "./fake-core.js";

const dist = join(import.meta.dirname, "../../dist/bindgen");

/** Takes the place of the browser's WebSocket. */
class FakeSocket extends EventTarget {
  static opened: FakeSocket[] = [];
  readyState = 0;
  sent = 0;
  closed = false;

  constructor(readonly url: string) {
    super();
    FakeSocket.opened.push(this);
    setTimeout(() => {
      if (this.closed) return;
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    }, 1);
  }

  send(): void {
    this.sent += 1;
  }

  close(): void {
    this.closed = true;
    this.readyState = 3;
  }
}

beforeAll(async () => {
  expect(() => createClient({ url: "http://localhost:1", token: "t" })).toThrow(
    expect.objectContaining({ codeName: "not_initialised" }),
  );
  await init(readFileSync(join(dist, "enfilade_wasm_bg.wasm")));
  await init();
});

beforeEach(() => {
  FakeSocket.opened = [];
  vi.stubGlobal("WebSocket", FakeSocket);
  localStorage.clear();
  sessionStorage.clear();
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test("the handle has the methods that the package calls", () => {
  const methods = (type: { prototype: object }) =>
    Object.getOwnPropertyNames(type.prototype).filter((name) => !name.startsWith("__"));
  const own = readFileSync(join(import.meta.dirname, "../core.ts"), "utf8");
  const handle = own.slice(own.indexOf("export interface Core {"));
  const declared = [...handle.slice(0, handle.indexOf("\n}")).matchAll(/^ {2}(\w+)\(/gm)].map(
    ([, name]) => name,
  );
  expect(["constructor", ...declared].sort()).toEqual(methods(EnfiladeCore).sort());
  expect(methods(FakeCore)).toEqual(expect.arrayContaining(declared));
});

test("a room is made and written in without a connection", async () => {
  const client = createClient({ url: "http://localhost:1", token: "t", storage: null });
  const room = client.createRoom({ name: "Mine", topic: "all" });
  const id = room.post("hello", { mentions: ["bob"] });
  expect(room.view.getSnapshot()).toMatchObject({ name: "Mine", joined: true, info: { topic: "all" } });
  const [row] = room.messages.getSnapshot();
  expect(row).toMatchObject({ id, text: "hello", status: "queued", mine: true, cancellable: true });
  room.post("again");
  expect(room.messages.getSnapshot()[0]).toBe(row);
  expect(room.cancel(id)).toBe(true);
  expect(room.messages.getSnapshot()).toHaveLength(1);
  expect(() => room.post("")).toThrow(EnfiladeError);
  await settled();
  expect(client.rooms.getSnapshot()).toMatchObject([{ id: room.id, name: "Mine" }]);
  client.dispose();
  client.dispose();
  expect(() => room.post("late")).toThrow(expect.objectContaining({ codeName: "disposed" }));
});

test("what was not sent is there again after a reload, and gone after a logout", async () => {
  const options = { url: "http://localhost:1", token: "t" };
  const before = createClient(options);
  await before.ready;
  const { id } = before.createRoom({ name: "Kept" });
  before.room(id).post("unsent");
  before.dispose();

  const after = createClient(options);
  await after.ready;
  expect(after.room(id).messages.getSnapshot()).toMatchObject([{ text: "unsent", status: "queued" }]);
  after.logout();
  expect(after.room(id).messages.getSnapshot()).toEqual([]);
  after.dispose();
  expect(Object.keys(sessionStorage).filter((key) => key.includes("/"))).toEqual([]);
});

test("a storage that throws is told once, and nothing else breaks", async () => {
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  const client = createClient({ url: "http://localhost:1", token: "t" });
  const told = vi.fn();
  client.on("storage", told);
  await client.ready;
  const room = client.createRoom({ name: "Mine" });
  room.post("one");
  room.post("two");
  await settled();
  expect(told).toHaveBeenCalledTimes(1);
  expect(room.messages.getSnapshot()).toHaveLength(2);
  client.dispose();
});

function Status() {
  const { state } = useConnection();
  return <p>{`${useRoom("lobby").tier} ${state}`}</p>;
}

test("StrictMode's double mount opens one socket, and leaving closes it", async () => {
  const tree = (
    <StrictMode>
      <EnfiladeProvider options={{ url: "http://localhost:1", token: "t" }} fallback={<p>Loading</p>}>
        <Status />
      </EnfiladeProvider>
    </StrictMode>
  );
  const { unmount } = render(tree);
  expect(screen.getByText("Loading")).toBeTruthy();
  await act(() => new Promise((done) => setTimeout(done, 100)));
  expect(screen.getByText("active authenticating")).toBeTruthy();
  expect(FakeSocket.opened.map(({ url, sent }) => [url, sent])).toEqual([["ws://localhost:1/ws", 1]]);
  unmount();
  await new Promise((done) => setTimeout(done, 1_200));
  expect(FakeSocket.opened).toHaveLength(1);
  expect(FakeSocket.opened[0]?.closed).toBe(true);
});
