import type { UseRoom } from "enfilade/react";
import type { Ref } from "react";
import { listHref } from "../router";
import { AvatarStack } from "../ui/Avatar";
import { Icon } from "../ui/Icon";
import { TierPill } from "../ui/Tier";

export function RoomHeader({
  ref,
  room,
  internals,
  onInternals,
  onPeople,
  onJoin,
  onLeave,
}: {
  ref: Ref<HTMLHeadingElement>;
  room: UseRoom;
  internals: boolean;
  onInternals: () => void;
  onPeople: () => void;
  onJoin: () => void;
  onLeave: () => void;
}) {
  const { info, synced, userCount, users, joined, id } = room;
  const known = synced !== "failed" && info !== undefined;
  return (
    <header className="room-head">
      <a className="icon-button back" href={listHref} aria-label="Back to the rooms">
        <Icon name="back" />
      </a>
      <div className="room-title">
        <h1 ref={ref} tabIndex={-1}>
          {info?.name ?? (synced === "failed" ? id : " ")}
        </h1>
        <p className="room-topic">
          {synced !== "failed" && <TierPill tier={room.tier} />}
          {synced === "stale" && <span className="stale">not up to date</span>}
          {info?.topic && <span className="topic-text">{info.topic}</span>}
        </p>
      </div>
      {known && (
        <button type="button" className="people-button" onClick={onPeople} aria-haspopup="dialog">
          <AvatarStack users={users} count={userCount} />
          <span className="people-count">
            {userCount} <span className="wide">here</span>
          </span>
        </button>
      )}
      {known && synced === "ready" && (
        <button
          type="button"
          className={joined ? "button small quiet wide" : "button small primary"}
          onClick={joined ? onLeave : onJoin}
        >
          {joined ? "Leave" : "Join"}
        </button>
      )}
      <button
        type="button"
        className="icon-button"
        aria-label="Room internals"
        aria-pressed={internals}
        title="Room internals (Alt I)"
        onClick={onInternals}
      >
        <Icon name="gauge" />
      </button>
    </header>
  );
}
