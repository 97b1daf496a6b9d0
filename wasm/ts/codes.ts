// Held against the registry in proto/src/code.rs by a test of this package.

/** What to do with a request that failed: nothing, try later, go on from the new state, fetch a new token first. */
export type Retry = "never" | "later" | "resync" | "new-token";

/** One row of the registry. */
export interface CodeRow {
  readonly code: number;
  readonly retry: Retry;
  readonly text: string;
}

/** Every code that the server may send, and the few that arise here (below 1000), by name. Numbers are stable for ever. */
export const codes = {
  not_initialised: { code: 1, retry: "never", text: "Call and await `init()` first." },
  disposed: { code: 2, retry: "never", text: "The client was disposed of." },
  storage_failed: {
    code: 3,
    retry: "never",
    text: "Records can't be kept on this device; unsent messages will not survive a reload.",
  },
  token_source_failed: { code: 4, retry: "later", text: "The function that gives tokens has failed." },
  disconnected: { code: 5, retry: "later", text: "The connection was lost." },
  malformed: { code: 1000, retry: "never", text: "The frame can't be decoded." },
  invalid_op: {
    code: 1001,
    retry: "never",
    text: "The operation can't be decoded, or is of a kind that this server does not know.",
  },
  invalid_room_id: {
    code: 1002,
    retry: "never",
    text: "A room id is 1 to 64 characters of a-z, A-Z, 0-9, '-', '_', '.' and ':'.",
  },
  invalid_name: {
    code: 1003,
    retry: "never",
    text: "A name is 1 to 64 characters without control characters, and not blank.",
  },
  invalid_text: {
    code: 1004,
    retry: "never",
    text: "A message is 1 to 4,000 characters, without control characters but line breaks and tabs.",
  },
  unknown_room: { code: 1005, retry: "never", text: "There is no such room." },
  room_exists: { code: 1006, retry: "never", text: "There is a room of that id already." },
  forbidden: { code: 1007, retry: "never", text: "You are not allowed to do that." },
  not_member: { code: 1008, retry: "never", text: "Join the room first." },
  op_id_reused: {
    code: 1009,
    retry: "never",
    text: "That operation id was used already, with another content.",
  },
  op_superseded: {
    code: 1010,
    retry: "never",
    text: "A later operation of this client was accepted already; make a new one.",
  },
  op_too_large: { code: 1011, retry: "never", text: "The operation is larger than the server's limit." },
  too_many_rooms: { code: 1012, retry: "never", text: "This connection holds as many rooms as it may." },
  room_full: { code: 1013, retry: "never", text: "The room has as many members as it may." },
  client_id_taken: { code: 1014, retry: "never", text: "That client id belongs to another user." },
  invalid_request: {
    code: 1015,
    retry: "never",
    text: "The request has a field that is missing or out of range.",
  },
  no_such_message: { code: 1016, retry: "never", text: "There is no such message." },
  conflict_kept: {
    code: 1017,
    retry: "never",
    text: "Somebody else changed the same; both versions wait in the conflict inbox for a choice.",
  },
  banned: { code: 1018, retry: "never", text: "You are banned from the room." },
  muted: { code: 1019, retry: "never", text: "You are muted in the room." },
  subscriber_only: { code: 1020, retry: "never", text: "Only subscribers may write here." },
  follower_only: { code: 1021, retry: "never", text: "Only followers of the room's owner may write here." },
  emote_only: { code: 1022, retry: "never", text: "Only emotes may be written here." },
  map_full: { code: 1023, retry: "never", text: "The room's map is as large as it may be." },
  element_too_large: { code: 1024, retry: "never", text: "The element is larger than the limit." },
  element_outdated: { code: 1025, retry: "never", text: "The register holds a newer version already." },
  unknown_team: { code: 1026, retry: "never", text: "There is no such team." },
  unknown_user: { code: 1027, retry: "never", text: "There is no such member, request or friend." },
  blocked: { code: 1028, retry: "never", text: "One of the two users has blocked the other." },
  too_many_friends: { code: 1029, retry: "never", text: "The list of friends is as long as it may be." },
  too_many_reactions: { code: 1030, retry: "never", text: "The message has as many reactions as it may." },
  too_many_pins: { code: 1031, retry: "never", text: "The room has as many pinned messages as it may." },
  unknown_conflict: {
    code: 1032,
    retry: "never",
    text: "There is no such conflict, or it was resolved already.",
  },
  snapshot_damaged: {
    code: 1034,
    retry: "never",
    text: "The stored snapshot is damaged or truncated; the room is loaded afresh.",
  },
  snapshot_too_new: {
    code: 1035,
    retry: "never",
    text: "The stored snapshot is of a newer version; the room is loaded afresh.",
  },
  snapshot_of_another_room: {
    code: 1036,
    retry: "never",
    text: "The stored snapshot is of another room; the room is loaded afresh.",
  },
  trace_damaged: { code: 1037, retry: "never", text: "The trace is damaged or truncated." },
  trace_too_new: { code: 1038, retry: "never", text: "The trace is of a newer version." },
  model_damaged: {
    code: 1039,
    retry: "never",
    text: "What was learned is damaged, truncated or of a newer version; learning starts afresh.",
  },
  team_full: { code: 1040, retry: "never", text: "There are as many teams or players as there may be." },
  list_full: {
    code: 1041,
    retry: "never",
    text: "The list of bans, mutes or invitations is as long as it may be.",
  },
  fold_too_new: {
    code: 1042,
    retry: "never",
    text: "The room is kept by rules that this version does not know; a newer one does.",
  },
  rate_limited: { code: 2000, retry: "later", text: "Too many requests." },
  slow_mode: { code: 2001, retry: "later", text: "Slow mode is on: wait before the next message." },
  store_unavailable: { code: 2002, retry: "later", text: "The store does not answer; nothing was lost." },
  overloaded: { code: 2003, retry: "later", text: "The server has too much to do." },
  draining: { code: 2004, retry: "later", text: "The server is about to stop." },
  internal: { code: 2005, retry: "later", text: "Something failed in the server; nothing was lost." },
  outbox_full: {
    code: 2006,
    retry: "later",
    text: "What was written before waits to go out to other systems; nothing was lost.",
  },
  epoch_changed: { code: 3000, retry: "resync", text: "The room's log was started anew." },
  position_ahead: { code: 3001, retry: "resync", text: "The position is beyond the end of the room's log." },
  too_far_behind: {
    code: 3002,
    retry: "resync",
    text: "Too much has happened since; here is the whole state.",
  },
  digest_mismatch: {
    code: 3003,
    retry: "resync",
    text: "Client and server hold different states; here is the server's.",
  },
  over_budget: {
    code: 3004,
    retry: "resync",
    text: "The room was put into a lower tier, because it took more than its budget.",
  },
  token_expired: { code: 3500, retry: "new-token", text: "The token has expired." },
  token_invalid: { code: 3501, retry: "new-token", text: "The token is not one of this server's." },
  going_away: { code: 4000, retry: "later", text: "The server stops; connect again after the advised time." },
  slow_consumer: { code: 4001, retry: "later", text: "The connection took less than was sent." },
  heartbeat_timeout: { code: 4002, retry: "later", text: "Nothing was heard for too long." },
  hello_timeout: { code: 4003, retry: "later", text: "The first frame did not come in time." },
  server_error: { code: 4004, retry: "later", text: "Something failed in the server; nothing was lost." },
  too_many_connections: { code: 4005, retry: "later", text: "The server has as many connections as it may." },
  protocol_error: { code: 4500, retry: "never", text: "What was sent is not the protocol." },
  frame_too_large: { code: 4501, retry: "never", text: "A frame was larger than the server's limit." },
  wrong_encoding: {
    code: 4502,
    retry: "never",
    text: "Text was sent on the binary protocol, or the reverse.",
  },
  unsupported_version: {
    code: 4503,
    retry: "never",
    text: "Client and server have no protocol version in common.",
  },
  hello_expected: { code: 4504, retry: "never", text: "The first frame must be a hello, and the only one." },
  kicked: { code: 4505, retry: "never", text: "The connection was closed by an administrator." },
  replaced: { code: 4506, retry: "never", text: "The same client has connected again." },
  close_token_expired: { code: 4600, retry: "new-token", text: "The token has expired." },
  close_token_invalid: { code: 4601, retry: "new-token", text: "The token is not one of this server's." },
} as const satisfies Record<string, CodeRow>;

/** The stable name of a code. */
export type CodeName = keyof typeof codes;
