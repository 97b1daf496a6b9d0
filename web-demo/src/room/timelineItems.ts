import type { GapRow, MessageRow } from "enfilade";
import { sameDay } from "../time";

/** What stands in a timeline, from the oldest to the newest. */
export type TimelineItem =
  | { kind: "day"; key: string; at: number }
  | { kind: "unread"; key: string }
  | { kind: "gap"; key: string; gap: GapRow }
  | { kind: "group"; key: string; messages: readonly MessageRow[] };

/** Messages of one author this close together stand under one name. */
const TOGETHER_MS = 5 * 60_000;

/** Groups messages by author and day, with a line before the first that was not read. */
export function timelineItems(
  messages: readonly MessageRow[],
  readUpTo: number | null,
): readonly TimelineItem[] {
  const items: TimelineItem[] = [];
  let group: MessageRow[] = [];
  let previous: MessageRow | undefined;
  let divided = readUpTo === null;

  for (const message of messages) {
    const newDay = !previous || !sameDay(previous.at, message.at);
    const divide = !divided && isUnread(message, readUpTo);
    if (newDay || divide || message.gap || !previous || !belongsTo(previous, message)) group = [];
    if (message.gap) items.push({ kind: "gap", key: `gap ${message.gap.after}`, gap: message.gap });
    if (newDay) items.push({ kind: "day", key: `day ${message.id}`, at: message.at });
    if (divide) {
      items.push({ kind: "unread", key: "unread" });
      divided = true;
    }
    if (group.length === 0) items.push({ kind: "group", key: message.id, messages: group });
    group.push(message);
    previous = message;
  }
  return items;
}

function belongsTo(previous: MessageRow, message: MessageRow): boolean {
  return previous.author === message.author && message.at - previous.at < TOGETHER_MS;
}

function isUnread(message: MessageRow, readUpTo: number | null): boolean {
  return readUpTo !== null && !message.mine && message.ordinal !== undefined && message.ordinal > readUpTo;
}
