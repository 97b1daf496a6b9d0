import type { RoomRow } from "enfilade";
import { memo } from "react";
import { roomHref } from "../router";
import { fullTime, shortAgo } from "../time";
import { AvatarStack } from "../ui/Avatar";
import { TierPill } from "../ui/Tier";

/** A badge wider than this tells no more. */
const MOST = 99;

export const RoomListItem = memo(function RoomListItem({
  row,
  now,
  current,
  tabStop,
  onFocus,
}: {
  row: RoomRow;
  now: number;
  current: boolean;
  tabStop: boolean;
  onFocus: (id: string) => void;
}) {
  const unread = row.unread > 0 && !current;
  return (
    <li>
      <a
        href={roomHref(row.id)}
        className={unread ? "room-row unread" : "room-row"}
        aria-current={current ? "page" : undefined}
        tabIndex={tabStop ? 0 : -1}
        data-room={row.id}
        data-tier={row.tier}
        onFocus={() => onFocus(row.id)}
      >
        <span className="room-row-top">
          <span className="room-name">{row.name || row.id}</span>
          {row.lastActivity > 0 && (
            <time dateTime={new Date(row.lastActivity).toISOString()} title={fullTime(row.lastActivity)}>
              {shortAgo(row.lastActivity, now)}
            </time>
          )}
        </span>
        <span className="room-row-middle">
          <span className="last-message">
            {row.lastMessage ? (
              <>
                <span className="who">{row.lastMessage.authorName}:</span>{" "}
                {row.lastMessage.text || "Message deleted"}
              </>
            ) : (
              <span className="nothing">{row.topic || "No message yet"}</span>
            )}
          </span>
          {row.mentions > 0 && (
            <span className="badge mention">
              <span aria-hidden="true">@{row.mentions > 1 ? Math.min(row.mentions, MOST) : ""}</span>
              <span className="visually-hidden">
                {row.mentions === 1 ? "1 mention" : `${row.mentions} mentions`}
              </span>
            </span>
          )}
          {unread && (
            <span className="badge">
              {row.unread > MOST ? `${MOST}+` : row.unread}
              <span className="visually-hidden"> unread</span>
            </span>
          )}
        </span>
        <span className="room-row-bottom">
          <TierPill tier={row.tier} />
          {row.userCount > 0 && (
            <span className="here">
              <AvatarStack users={row.users} count={row.userCount} />
              <span className="visually-hidden">{row.userCount} here</span>
            </span>
          )}
        </span>
      </a>
    </li>
  );
});
