// The handle that wasm-bindgen makes of wasm/src. Written by hand, so that the package can be type-checked without
// building the WASM; a test holds it against what was built.

import type {
  ConnectionSnapshot,
  ContactRow,
  MemberRow,
  MessageRow,
  NotificationRow,
  RoomRow,
  RoomSnapshot,
  Scores,
  SignalRow,
  StorageChange,
} from "./types.js";

/** A snapshot whose error is still the bare number. */
export type Numbered<T extends { readonly error?: unknown }> = Omit<T, "error"> & { readonly error?: number };

/** What has changed in one room since the last drain; what it is now is pulled. */
export interface RoomChanges {
  readonly id: string;
  /** The messages are others than before: nothing of the old list holds. */
  readonly reset: boolean;
  /** Messages came or went at either end. */
  readonly messages: boolean;
  /** Ordinals of messages that are others than before, in their places. */
  readonly changed: readonly number[];
  readonly pins: boolean;
  readonly pending: boolean;
  readonly members: boolean;
  readonly scores: boolean;
  readonly signals: boolean;
}

/** Something that happened once, to be told. */
export type CoreEvent =
  | {
      readonly kind: "rejected";
      readonly room: string;
      readonly op: string;
      readonly code: number;
      readonly retryAfter: number;
      readonly reason: string;
      readonly text?: string;
    }
  | { readonly kind: "resynced"; readonly room: string; readonly code: number }
  | { readonly kind: "notified"; readonly notification: NotificationRow }
  | { readonly kind: "signal"; readonly room: string; readonly signal: SignalRow }
  | { readonly kind: "token-needed" }
  | { readonly kind: "error"; readonly code: number; readonly room: string; readonly reason: string };

/** All that came out of the core since the last drain, in one crossing. */
export interface Drained {
  readonly connection: boolean;
  /** Rooms whose row in the list has changed, come or gone; some of them more than once. */
  readonly rooms: readonly string[];
  readonly notifications: boolean;
  readonly changes: readonly RoomChanges[];
  readonly events: readonly CoreEvent[];
  readonly records: readonly StorageChange[];
  /** Records to read, and to hand in by `loaded`. */
  readonly loads: readonly string[];
}

/** What a method throws when the core refuses. */
export interface Refused {
  readonly code: number;
  readonly retryAfter: number;
  readonly reason: string;
}

/** The one handle. Every method throws a {@link Refused}. */
export interface Core {
  restore(records: readonly (readonly [string, Uint8Array])[]): void;
  loaded(key: string, record?: Uint8Array): void;
  set_token(token: string): void;
  connect(): void;
  disconnect(): void;
  logout(): void;
  /** Ends the connection and lets go of everything; the methods throw from then on. */
  dispose(): void;
  free(): void;
  /** 0 online, 1 offline, 2 foreground, 3 background. */
  network(what: number): void;
  acquire(room: string): void;
  release(room: string): void;
  /** 0 unloaded, 1 cached, 2 background, 3 active. */
  set_tier(room: string, tier: number): void;
  /** @returns the room's id. */
  create_room(name: string, topic: string, visibility: number): string;
  join(room: string): string;
  leave(room: string): string;
  post(room: string, text: string, mentions: string[]): string;
  /** An encoded `Op`. */
  submit_op(room: string, op: Uint8Array): string;
  cancel(op: string): boolean;
  mark_read(room: string): void;
  load_older(room: string, limit: number): void;
  fill_gap(room: string, after: number): void;
  edit_message(room: string, id: string, text: string, mentions: string[]): string;
  delete_message(room: string, id: string): string;
  react(room: string, id: string, reaction: string, removed: boolean): string;
  pin(room: string, id: string, removed: boolean): string;
  set_draft(room: string, text: string): void;
  /** 0 latest, 1 timed, 2 release. Whether it was taken. */
  signal(room: string, signalClass: number, kind: string, key: string, payload: Uint8Array): boolean;
  watch_rooms(on: boolean): void;
  /** The recording so far; empty where none was asked for. */
  trace(): Uint8Array;
  drain(): Drained;
  connection(): Numbered<ConnectionSnapshot>;
  /** Bytes in and out, frames in and out. */
  traffic(): Float64Array;
  /** Ids of the listed rooms in order, in lines. */
  room_order(): string;
  /** The rows of these rooms; `null` for one that is not listed. */
  room_rows(ids: string[]): (RoomRow | null)[];
  notifications(): NotificationRow[];
  /** `undefined` for a room of which nothing is held. */
  room(room: string): Numbered<RoomSnapshot> | undefined;
  members(room: string): MemberRow[];
  /** Ranks from the one on, at most so many. */
  scores(room: string, from: number, count: number): Scores;
  contacts(): ContactRow[];
  /** The latest signals of others that count. */
  signals(room: string): SignalRow[];
  /** Ordinal of the first message held; 0 when there is none. */
  first_ordinal(room: string): number;
  /** Confirmed messages with an ordinal between the two, ascending. */
  messages(room: string, after: number, before: number): MessageRow[];
  /** Pinned messages, oldest pin first. */
  pins(room: string): MessageRow[];
  /** Messages that are not confirmed, in order. */
  pending(room: string): MessageRow[];
}

/**
 * Makes a handle. Times in milliseconds; what is `undefined` keeps its default. `wake` is called after something came
 * in by itself, never from within a method, and then not again before a drain.
 */
export type MakeCore = (
  url: string,
  agent: string,
  backgroundFor: number | undefined,
  cachedFor: number | undefined,
  cachedRooms: number | undefined,
  activeGrace: number | undefined,
  record: number | undefined,
  wake: () => void,
) => Core;
