import { act, cleanup, render, screen } from "@testing-library/react";
import { Profiler, StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { afterEach, expect, test, vi } from "vitest";
import { EnfiladeProvider, useConnection, useRoom, useRooms } from "../react/index.js";
import type { Client } from "../types.js";
import { fakeClient, settled } from "./fake-core.js";

afterEach(cleanup);

function Messages({ id, active = true }: { id: string; active?: boolean }) {
  const { messages, post, tier } = useRoom(id, { active });
  return (
    <div>
      <p data-testid="tier">{tier}</p>
      <button type="button" onClick={() => post("typed")}>
        post
      </button>
      <ul>
        {messages.map(({ id, text, status }) => (
          <li key={id} data-status={status}>
            {text}
          </li>
        ))}
      </ul>
    </div>
  );
}

function texts(): (string | null)[] {
  return screen.queryAllByRole("listitem").map(({ textContent }) => textContent);
}

const under = (client: Client, children: React.ReactNode) => (
  <StrictMode>
    <EnfiladeProvider client={client}>{children}</EnfiladeProvider>
  </StrictMode>
);

test("useRoom shows messages as they come and are posted", async () => {
  const { client, core } = fakeClient();
  render(under(client, <Messages id="a" />));
  await act(async () => {
    core.receive("a", "one", "two");
    await settled();
  });
  expect(texts()).toEqual(["one", "two"]);
  await act(async () => {
    screen.getByRole("button").click();
    await settled();
  });
  expect(texts()).toEqual(["one", "two", "typed"]);
});

test("under StrictMode a room is held once while mounted, and not at all after", () => {
  const { client, core } = fakeClient();
  const { rerender, unmount } = render(under(client, <Messages id="a" />));
  expect(core.holders("a")).toBe(1);
  rerender(under(client, <Messages id="b" />));
  expect([core.holders("a"), core.holders("b")]).toEqual([0, 1]);
  rerender(under(client, <Messages id="b" active={false} />));
  expect(core.holders("b")).toBe(0);
  rerender(under(client, <Messages id="b" />));
  unmount();
  expect(core.holders("b")).toBe(0);
});

test("a burst re-renders once, and a change elsewhere not at all", async () => {
  const { client, core } = fakeClient();
  const rendered = vi.fn();
  render(
    <EnfiladeProvider client={client}>
      <Profiler id="room" onRender={rendered}>
        <Messages id="a" />
      </Profiler>
    </EnfiladeProvider>,
  );
  await act(settled);
  rendered.mockClear();
  await act(async () => {
    core.receive("other", "x");
    core.setConnection({ state: "online", attempt: 0 });
    await settled();
  });
  expect(rendered).not.toHaveBeenCalled();
  await act(async () => {
    for (let index = 0; index < 100; index += 1) core.receive("a", `${index}`);
    await settled();
  });
  expect(texts()).toHaveLength(100);
  expect(rendered).toHaveBeenCalledTimes(1);
});

test("methods and result of useRoom keep their identity while nothing changes", async () => {
  const { client } = fakeClient();
  const seen: unknown[] = [];
  function Probe() {
    const room = useRoom("a");
    seen.push(room, room.post);
    return null;
  }
  const tree = () => (
    <EnfiladeProvider client={client}>
      <Probe />
    </EnfiladeProvider>
  );
  const { rerender } = render(tree());
  await act(settled);
  seen.length = 0;
  rerender(tree());
  rerender(tree());
  expect(new Set(seen).size).toBe(2);
});

test("connection and room list are hooks as well", async () => {
  const { client, core } = fakeClient();
  function Status() {
    return <p data-testid="status">{`${useConnection().state} ${useRooms().length}`}</p>;
  }
  render(under(client, <Status />));
  await act(async () => {
    core.setConnection({ state: "online", attempt: 0 });
    await settled();
  });
  expect(screen.getByTestId("status").textContent).toBe("online 0");
});

test("a server renders what is known of nothing", () => {
  const { client, core } = fakeClient();
  core.receive("a", "one");
  expect(renderToString(under(client, <Messages id="a" />))).toContain("unloaded");
  const options = { url: "http://localhost:1", token: "t" };
  expect(
    renderToString(
      <EnfiladeProvider options={options} fallback={<p>Loading</p>}>
        <Messages id="a" />
      </EnfiladeProvider>,
    ),
  ).toBe("<p>Loading</p>");
  expect(core.holders("a")).toBe(0);
});

test("a hook without a provider says what is missing", () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  expect(() => render(<Messages id="a" />)).toThrow(/EnfiladeProvider/);
});
