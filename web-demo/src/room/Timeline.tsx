import type { UseRoom } from "enfilade/react";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef } from "react";
import { announce } from "../shell/announce";
import { dayName, useNow } from "../time";
import { Icon } from "../ui/Icon";
import { MessageGroup } from "./MessageGroup";
import type { Person } from "./people";
import { type TimelineItem, timelineItems } from "./timelineItems";
import type { Reading } from "./useReading";
import { useTimelineScroll } from "./useTimelineScroll";

/** More than this at once is counted instead of read out. */
const SPOKEN = 2;

/** The messages of a room. */
export function Timeline({
  room,
  reading,
  people,
  me,
}: {
  room: UseRoom;
  reading: Reading;
  people: readonly Person[];
  me: string;
}) {
  const { messages, hasOlder, loadOlder, fillGap, cancel, synced, unread, markRead } = room;
  const { readUpTo, looking, forget } = reading;
  const now = useNow();
  const asked = useRef(-1);
  const older = useCallback(() => {
    // Once for each stretch: scrolling tells the same thing many times.
    if (!hasOlder || asked.current === messages.length) return;
    asked.current = messages.length;
    loadOlder();
  }, [hasOlder, loadOlder, messages.length]);
  const { box, onScroll, atEnd, fresh, toEnd, toUnread } = useTimelineScroll(room.id, messages, older);
  useEffect(() => {
    if (looking && atEnd && unread > 0 && synced === "ready") markRead();
  }, [looking, atEnd, unread, synced, markRead]);
  const items = useMemo(() => timelineItems(messages, readUpTo), [messages, readUpTo]);
  // Once, when the room is opened; later lines appear where one is.
  const arrived = useRef(false);
  useLayoutEffect(() => {
    if (arrived.current || synced !== "ready" || readUpTo === null) return;
    arrived.current = true;
    toUnread();
  }, [synced, readUpTo, toUnread]);
  const onCancel = useCallback((id: string) => void cancel(id), [cancel]);

  useAnnouncements(room);
  const lastOfMine = messages.at(-1)?.mine ? messages.at(-1)?.id : undefined;
  const seen = useRef(lastOfMine);
  useEffect(() => {
    if (lastOfMine && lastOfMine !== seen.current) forget();
    seen.current = lastOfMine;
  });

  return (
    <div className="timeline-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region must be reachable by keyboard */}
      <section className="timeline" ref={box} onScroll={onScroll} aria-label="Messages" tabIndex={0}>
        <div className="timeline-content">
          {hasOlder ? (
            <button type="button" className="button small older" onClick={() => loadOlder()}>
              Load older messages
            </button>
          ) : (
            messages.length > 0 && synced === "ready" && <Beginning room={room} />
          )}
          <ol className="groups">
            {items.map((item) => (
              <Item
                key={item.key}
                item={item}
                now={now}
                people={people}
                me={me}
                onCancel={onCancel}
                onFill={fillGap}
              />
            ))}
          </ol>
        </div>
      </section>
      {!atEnd && (
        <button type="button" className={fresh > 0 ? "to-end fresh" : "to-end"} onClick={toEnd}>
          <Icon name="down" />
          {fresh > 0 ? `${fresh} new ${fresh === 1 ? "message" : "messages"}` : "To the newest"}
        </button>
      )}
    </div>
  );
}

function Item({
  item,
  now,
  onFill,
  ...rest
}: {
  item: TimelineItem;
  now: number;
  people: readonly Person[];
  me: string;
  onCancel: (id: string) => void;
  onFill: (after: number) => void;
}) {
  switch (item.kind) {
    case "day":
      return (
        <li className="day">
          <span>{dayName(item.at, now)}</span>
        </li>
      );
    case "unread":
      return (
        <li className="unread-line">
          <span>New</span>
        </li>
      );
    case "gap": {
      const { after, missing, loading, fillable } = item.gap;
      const what = `${missing} ${missing === 1 ? "message is" : "messages are"} missing here`;
      return (
        <li className="gap-row">
          <span>{what}</span>
          {fillable && (
            <button
              type="button"
              className="button small"
              aria-disabled={loading}
              onClick={() => !loading && onFill(after)}
            >
              {loading ? "Loading…" : "Load"}
            </button>
          )}
        </li>
      );
    }
    case "group":
      return <MessageGroup messages={item.messages} {...rest} />;
  }
}

function Beginning({ room }: { room: UseRoom }) {
  return (
    <div className="beginning">
      <h2>{room.info?.name}</h2>
      <p>The beginning of the room{room.info?.topic ? `: ${room.info.topic}` : "."}</p>
    </div>
  );
}

/** Reads new messages of others out, once the room is there. */
function useAnnouncements({ messages, synced }: UseRoom) {
  const last = useRef<number | undefined>(undefined);
  useEffect(() => {
    if (synced !== "ready") return;
    const newest = messages.findLast((message) => message.ordinal !== undefined)?.ordinal ?? 0;
    const before = last.current;
    last.current = newest;
    if (before === undefined || newest <= before) return;
    const added = messages.filter((message) => (message.ordinal ?? 0) > before && !message.mine);
    if (added.length === 0) return;
    announce(
      added.length <= SPOKEN
        ? added.map(({ authorName, text }) => `${authorName}: ${text}`).join(". ")
        : `${added.length} new messages`,
    );
  }, [messages, synced]);
}
