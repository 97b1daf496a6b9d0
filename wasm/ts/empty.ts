import type { ConnectionSnapshot, RoomConfig, RoomSnapshot, Scores } from "./types.js";

/** One frozen list for everything that is empty, so that nothing re-renders when empty stays empty. */
export const NONE: readonly never[] = Object.freeze([]);

const config: RoomConfig = Object.freeze({
  slowModeEnabled: false,
  slowModeDuration: 0,
  subscriberOnly: false,
  followerOnly: false,
  emoteOnly: false,
  capacity: 0,
});

/** What is known of a room before anything is known of it. */
export function unknownRoom(id: string): RoomSnapshot {
  return Object.freeze({
    id,
    name: id,
    tier: "unloaded",
    reason: Object.freeze({ code: "never_opened", text: "It has not been opened on this device." }),
    synced: "loading",
    epoch: 0,
    seq: 0,
    config,
    userCount: 0,
    users: NONE,
    memberCount: 0,
    joined: false,
    head: 0,
    unread: 0,
    mentions: 0,
    bytesIn: 0,
    bytesOut: 0,
    hasOlder: false,
    loadingOlder: false,
    draft: "",
  } satisfies RoomSnapshot);
}

/** Of a room whose scores are not known. */
export const NO_SCORES: Scores = Object.freeze({
  teams: NONE,
  total: 0,
  own: 0,
  players: 0,
  leaders: NONE,
});

/** The connection before `connect`. */
export const NOT_CONNECTED: ConnectionSnapshot = Object.freeze({ state: "idle", attempt: 0 });
