import type { RoomRow } from "enfilade";
import { useConnection, useRooms } from "enfilade/react";
import { type KeyboardEvent, useMemo, useRef, useState } from "react";
import { session } from "../session";
import { useNow } from "../time";
import { Avatar } from "../ui/Avatar";
import { Doorways } from "../ui/Doorways";
import { Icon, Mark } from "../ui/Icon";
import { Notifications } from "./Notifications";
import { RoomListItem } from "./RoomListItem";

/** Room names to choose from are worth a search beyond this many. */
const SEARCH_FROM = 6;

/** The list of rooms, with what one needs to choose where to go next. */
export function Sidebar({
  current,
  alone,
  onCreate,
  onYou,
}: {
  current: string | null;
  /** On a phone the list is the whole page, and so its main part. */
  alone: boolean;
  onCreate: () => void;
  onYou: () => void;
}) {
  const Frame = alone ? "main" : "div";
  const Title = alone ? "h1" : "p";
  const all = useRooms();
  // An address that was tried and led nowhere is held, but is no room to choose.
  const rooms = useMemo(() => all.filter((row) => row.name !== ""), [all]);
  const connection = useConnection();
  const [filter, setFilter] = useState("");

  const shown = useMemo(() => matching(rooms, filter), [rooms, filter]);
  const { joined, others } = grouped(shown);

  return (
    <Frame className="sidebar">
      <header className="sidebar-head">
        <Title className="wordmark">
          <Mark /> Enfilade
        </Title>
        <Notifications />
        <button
          type="button"
          className="icon-button"
          aria-label="New room"
          title="New room (Alt N)"
          onClick={onCreate}
        >
          <Icon name="plus" />
        </button>
      </header>
      {(rooms.length >= SEARCH_FROM || filter !== "") && (
        <search className="search">
          <Icon name="search" />
          <input
            id="room-search"
            type="search"
            placeholder="Find a room"
            aria-label="Find a room"
            value={filter}
            onChange={(event) => setFilter(event.target.value)}
            onKeyDown={(event) => {
              if (event.key === "Escape") setFilter("");
            }}
          />
        </search>
      )}
      <RoomList
        groups={[
          { title: "Your rooms", rows: joined },
          { title: joined.length > 0 ? "More rooms" : "Rooms", rows: others },
        ]}
        current={current}
        empty={
          rooms.length > 0 ? (
            <p className="list-empty">No room is called “{filter}”.</p>
          ) : connection.state === "online" ? (
            <div className="list-empty none">
              <Doorways />
              <p>There are no rooms yet.</p>
              <button type="button" className="button primary" onClick={onCreate}>
                Make the first one
              </button>
            </div>
          ) : (
            <ListSkeleton />
          )
        }
      />
      <You onYou={onYou} />
    </Frame>
  );
}

function RoomList({
  groups,
  current,
  empty,
}: {
  groups: readonly { title: string; rows: readonly RoomRow[] }[];
  current: string | null;
  empty: React.ReactNode;
}) {
  const ref = useRef<HTMLElement>(null);
  const now = useNow();
  const [stop, setStop] = useState<string | null>(null);
  const rows = groups.flatMap((group) => group.rows);
  // One stop for the Tab key: where the arrows were last, else the open room, else the first.
  const tabStop = [stop, current].find((id) => rows.some((row) => row.id === id)) ?? rows[0]?.id;

  const onKeyDown = (event: KeyboardEvent) => {
    const links = [...(ref.current?.querySelectorAll<HTMLAnchorElement>("a[data-room]") ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const next = nextIndex(event, at, links.length);
    if (at === -1 || next === undefined) return;
    event.preventDefault();
    links[next]?.focus();
  };

  return (
    <nav className="room-list" aria-label="Rooms" ref={ref} onKeyDown={onKeyDown}>
      {rows.length === 0 && empty}
      {groups.map(
        ({ title, rows: members }) =>
          members.length > 0 && (
            <section key={title} aria-label={title}>
              <h2>{title}</h2>
              <ul>
                {members.map((row) => (
                  <RoomListItem
                    key={row.id}
                    row={row}
                    now={now}
                    current={row.id === current}
                    tabStop={row.id === tabStop}
                    onFocus={setStop}
                  />
                ))}
              </ul>
            </section>
          ),
      )}
    </nav>
  );
}

function nextIndex(event: KeyboardEvent, at: number, length: number): number | undefined {
  if (event.altKey || event.ctrlKey || event.metaKey) return undefined;
  switch (event.key) {
    case "ArrowDown":
      return Math.min(at + 1, length - 1);
    case "ArrowUp":
      return Math.max(at - 1, 0);
    case "Home":
      return 0;
    case "End":
      return length - 1;
    default:
      return undefined;
  }
}

/** One's own rooms first. */
export function grouped(rooms: readonly RoomRow[]) {
  return { joined: rooms.filter((row) => row.following), others: rooms.filter((row) => !row.following) };
}

function matching(rooms: readonly RoomRow[], filter: string): readonly RoomRow[] {
  const wanted = filter.trim().toLocaleLowerCase();
  if (wanted === "") return rooms;
  return rooms.filter((row) => `${row.name} ${row.topic}`.toLocaleLowerCase().includes(wanted));
}

function ListSkeleton() {
  return (
    <div className="skeleton-list" aria-hidden="true">
      {[68, 46, 58, 39].map((width) => (
        <div key={width} className="skeleton-row">
          <span style={{ width: `${width}%` }} />
          <span style={{ width: `${96 - width / 2}%` }} />
        </div>
      ))}
    </div>
  );
}

const STATE_NAMES = {
  idle: "Not connected",
  connecting: "Connecting",
  authenticating: "Connecting",
  "token-needed": "Signing in",
  online: "Online",
  waiting: "Reconnecting",
  offline: "Offline",
  failed: "Not connected",
} as const;

function You({ onYou }: { onYou: () => void }) {
  const { user, state } = useConnection();
  const open = session.getSnapshot();
  const identity = open.stage === "open" ? open.identity : null;
  const name = user?.name ?? identity?.name ?? "";
  return (
    <footer className="sidebar-foot">
      <button type="button" className="you-button" onClick={onYou} aria-haspopup="dialog">
        <Avatar user={user?.id ?? identity?.userId ?? ""} name={name} />
        <span className="you-name">
          <span className="visually-hidden">You: </span>
          {name}
          <span className="you-state" data-state={state}>
            {STATE_NAMES[state]}
          </span>
        </span>
        <Icon name="dots" />
      </button>
    </footer>
  );
}
