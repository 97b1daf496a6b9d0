import type { NotificationRow, RoomRow } from "enfilade";
import { useNotifications, useRooms } from "enfilade/react";
import { useId, useRef } from "react";
import { goTo, roomHref } from "../router";
import { fullTime, shortAgo, useNow } from "../time";
import { Avatar } from "../ui/Avatar";
import { Icon } from "../ui/Icon";

/** Who mentioned you, and where. In the browser's own popover: Esc and a click beside it close it. */
export function Notifications() {
  const notifications = useNotifications();
  const rooms = useRooms();
  const now = useNow();
  const ref = useRef<HTMLElement>(null);
  const id = useId();
  const names = new Map(rooms.map((row) => [row.id, row.name || row.id]));
  const fresh = rooms.reduce((sum, row) => sum + row.mentions, 0);

  const freshIds = freshOnes(notifications, rooms);

  return (
    <>
      <button
        type="button"
        className="icon-button"
        popoverTarget={id}
        aria-label={fresh > 0 ? `Mentions, ${fresh} new` : "Mentions"}
        title="Mentions"
      >
        <Icon name="bell" />
        {fresh > 0 && (
          <span className="dot" aria-hidden="true">
            {Math.min(fresh, 9)}
          </span>
        )}
      </button>
      <section id={id} ref={ref} popover="auto" className="popover" aria-label="Mentions">
        <h2>Mentions</h2>
        {notifications.length === 0 ? (
          <p className="popover-empty">
            When somebody writes your name with an @, it stands here, whatever room you are in.
          </p>
        ) : (
          <ul>
            {notifications.map((item) => {
              const isFresh = freshIds.has(item.id);
              return (
                <li key={item.id}>
                  <button
                    type="button"
                    className={isFresh ? "notification fresh" : "notification"}
                    onClick={() => {
                      ref.current?.hidePopover();
                      goTo(roomHref(item.roomId));
                    }}
                  >
                    <Avatar user={item.author} name={item.authorName} />
                    <span className="notification-text">
                      <span className="notification-head">
                        <strong>{item.authorName}</strong> in {names.get(item.roomId) ?? item.roomId}
                        <time dateTime={new Date(item.at).toISOString()} title={fullTime(item.at)}>
                          {shortAgo(item.at, now)}
                        </time>
                      </span>
                      <span className="excerpt">{item.excerpt}</span>
                      {isFresh && <span className="visually-hidden">new</span>}
                    </span>
                  </button>
                </li>
              );
            })}
          </ul>
        )}
      </section>
    </>
  );
}

/** A room counts its mentions beyond the read marker; those are the newest ones from that room. */
function freshOnes(notifications: readonly NotificationRow[], rooms: readonly RoomRow[]): Set<string> {
  const left = new Map(rooms.map((row) => [row.id, row.mentions]));
  const fresh = new Set<string>();
  for (const { id, roomId } of notifications) {
    const count = left.get(roomId) ?? 0;
    if (count > 0) fresh.add(id);
    left.set(roomId, count - 1);
  }
  return fresh;
}
