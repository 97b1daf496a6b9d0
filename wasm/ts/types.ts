import type { CodedError, EnfiladeError } from "./errors.js";
import type { Operation } from "./operation.js";

/**
 * Something that can be read at any time and watched for changes. Made for React's `useSyncExternalStore`.
 *
 * `getSnapshot` returns the same object until something in it has changed, and what has not changed within a new
 * object keeps its identity: the row of a message is the same object for as long as the message is the same.
 */
export interface Readable<T> {
  /**
   * Calls `listener` after changes, at most once for all that arrives together. The listener is never called from
   * within a command, so it may call any.
   *
   * @returns a function that ends the subscription; calling it again does nothing.
   */
  subscribe(listener: () => void): () => void;
  /** What is true now. */
  getSnapshot(): T;
}

/**
 * How much of a room this client holds and receives: everything, as it happens (`active`); counts, mentions and the
 * newest messages, once a second (`background`); a snapshot to open from at once (`cached`); nothing (`unloaded`).
 */
export type Tier = "unloaded" | "cached" | "background" | "active";

/** Who may read a room: anybody, who also finds it listed; anybody who knows its id; its members. */
export type Visibility = "public" | "unlisted" | "private";

/** What a member may do. */
export type Role = "member" | "moderator" | "owner";

/** Whether a user is here, was when last heard of, or has gone. */
export type Liveness = "live" | "stale" | "offline";

/** Why something is as it is: a stable name for programs, and a sentence for people. */
export interface Reason {
  readonly code: string;
  readonly text: string;
}

/** Somebody who is in a room now. */
export interface PresentUser {
  readonly id: string;
  readonly name: string;
  readonly liveness: Liveness;
}

/** Somebody who has joined a room. */
export interface MemberRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  /** Milliseconds since 1970. */
  readonly joinedAt: number;
  /** Short words; "subscriber", "vip" and "moderator" may write where only subscribers may. */
  readonly badges: readonly string[];
  /** "#RRGGBB", or empty. */
  readonly color: string;
}

/** A team of a room's game. */
export interface TeamRow {
  readonly name: string;
  readonly score: number;
  readonly members: number;
}

/** A user with a score. */
export interface ScoreRow {
  readonly id: string;
  readonly name: string;
  /** Empty for who is in none. */
  readonly team: string;
  readonly score: number;
}

/** Teams, the total, and a piece of the leaderboard: who has more stands higher, of equals who had as many first. */
export interface Scores {
  /** Ascending by name. */
  readonly teams: readonly TeamRow[];
  /** With one's own points that are on their way. */
  readonly total: number;
  /** One's own points, those on their way included. */
  readonly own: number;
  /** One's own place, counted from 0; absent for who has none. */
  readonly rank?: number;
  readonly players: number;
  readonly leaders: readonly ScoreRow[];
}

/** What is known of another user. */
export interface ContactRow {
  readonly id: string;
  /** Empty while unknown. */
  readonly name: string;
  /** `requested` by the user of this client, `pending` is their answer to the other's request. */
  readonly friend: "none" | "requested" | "pending" | "friends";
  readonly blocked: boolean;
  /** Whether the user of this client follows them, and the reverse. */
  readonly following: boolean;
  readonly follower: boolean;
  /** Of friends; empty while they show none. */
  readonly availability: "" | "online" | "away" | "busy" | "invisible";
  readonly status: string;
}

/** How far a message of one's own has come. */
export type MessageStatus =
  /** It has its place in the room's log; everybody's messages are in this state in the end. */
  | "sent"
  /** It waits for a connection, or for messages before it. */
  | "queued"
  /** It is on its way. */
  | "sending"
  /** The server has it safely; it will appear in its place. */
  | "acknowledged";

/** Who has reacted to a message in one way. */
export interface ReactionRow {
  /** An emoji, or the name of one in `:colons:`. */
  readonly reaction: string;
  /** User ids, ascending. */
  readonly users: readonly string[];
  /** Whether the user of this client is among them. */
  readonly mine: boolean;
}

/** Messages that are missing before one that is held. */
export interface GapRow {
  /** What {@link Room.fillGap} is called with. */
  readonly after: number;
  /** How many they are. */
  readonly missing: number;
  /** Whether they are on their way. */
  readonly loading: boolean;
  /** Whether they can be asked for: in Active rooms. */
  readonly fillable: boolean;
}

/** A message, or one that wants to become one. */
export interface MessageRow {
  /** The same from the moment it is written on, before and after the server has it. */
  readonly id: string;
  /** User id. */
  readonly author: string;
  /** The author's display name when it was written. */
  readonly authorName: string;
  /** Milliseconds since 1970: the server's stamp, or this device's clock while it is not sent. */
  readonly at: number;
  readonly text: string;
  /** Ids of the users that it mentions. */
  readonly mentions: readonly string[];
  /** Counts the room's messages from 1; absent while it is not sent. */
  readonly ordinal?: number;
  readonly status: MessageStatus;
  /** Whether the user of this client wrote it. */
  readonly mine: boolean;
  /** Whether {@link Room.cancel} can still take it back. */
  readonly cancellable: boolean;
  /** Whether its text is another than it was posted with. */
  readonly edited: boolean;
  /** Its place is left, and its author; text, mentions and reactions are gone. */
  readonly deleted: boolean;
  readonly pinned: boolean;
  /** Whether something about it was changed here that the server has not confirmed. It is shown as it will be. */
  readonly changing: boolean;
  /** In the order of their first use. */
  readonly reactions: readonly ReactionRow[];
  /** What is missing before it; absent where nothing is. */
  readonly gap?: GapRow;
}

/** What a room is called, and who may read it. */
export interface RoomInfo {
  readonly name: string;
  readonly topic: string;
  readonly visibility: Visibility;
  /** User id. */
  readonly owner: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

/** The rules of a room. */
export interface RoomConfig {
  readonly slowModeEnabled: boolean;
  /** Seconds between two messages of one user while slow mode is on. */
  readonly slowModeDuration: number;
  readonly subscriberOnly: boolean;
  readonly followerOnly: boolean;
  readonly emoteOnly: boolean;
  /** Members that the room takes; 0 is as many as a room may have. */
  readonly capacity: number;
}

/** How what is held of a room relates to what the server has. */
export type Synced =
  /** Nothing is held yet. */
  | "loading"
  /** Up to date, as far as the tier goes. */
  | "ready"
  /** What was true when it was last heard of. */
  | "stale"
  /** The server refused the room; see `error`. */
  | "failed";

/** Everything about a room but its messages. */
export interface RoomSnapshot {
  readonly id: string;
  /** What it is called; its id while that is unknown. */
  readonly name: string;
  readonly tier: Tier;
  /** Why it is in that tier. */
  readonly reason: Reason;
  readonly synced: Synced;
  /** Why it is `failed`. */
  readonly error?: CodedError;
  /** Names the incarnation of the room's log; 0 while unknown. */
  readonly epoch: number;
  /** How many entries of the log are held here. */
  readonly seq: number;
  /** Absent while unknown. */
  readonly info?: RoomInfo;
  readonly config: RoomConfig;
  /** Users present. */
  readonly userCount: number;
  /** The first of them; all, where there are few. */
  readonly users: readonly PresentUser[];
  readonly memberCount: number;
  /** Whether the user of this client has joined, or is about to: who has not may not write. */
  readonly joined: boolean;
  /** How many messages the room has had. */
  readonly head: number;
  readonly unread: number;
  /** Unread messages that mention the user of this client. */
  readonly mentions: number;
  /** Bytes that this room has cost on the wire, over all connections of this client. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Whether {@link Room.loadOlder} would bring something. */
  readonly hasOlder: boolean;
  /** Whether older messages are on their way. */
  readonly loadingOlder: boolean;
  /** What was being written; outlives every tier, and is not sent. */
  readonly draft: string;
}

/** The last message of a room, for a list. */
export interface LastMessage {
  readonly author: string;
  readonly authorName: string;
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A room in the list of rooms. */
export interface RoomRow {
  readonly id: string;
  readonly name: string;
  readonly topic: string;
  readonly visibility: Visibility;
  readonly tier: Tier;
  readonly reason: Reason;
  readonly lastMessage?: LastMessage;
  /** Milliseconds since 1970; 0 while unknown. */
  readonly lastActivity: number;
  readonly unread: number;
  readonly mentions: number;
  readonly userCount: number;
  /** The first few users present. */
  readonly users: readonly PresentUser[];
  readonly memberCount: number;
  /** Whether the user of this client has joined the room. */
  readonly following: boolean;
}

/** A message somewhere that mentions the user of this client. */
export interface NotificationRow {
  /** Id of the message. */
  readonly id: string;
  readonly roomId: string;
  readonly ordinal: number;
  readonly author: string;
  readonly authorName: string;
  readonly excerpt: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/**
 * What becomes of a signal: the newest of a kind and key replaces those before it (`latest`: cursors, typing); it is
 * played in its time or not at all (`timed`: a note); it ends what a timed one of its kind and key began, and is never
 * lost (`release`).
 */
export type SignalClass = "latest" | "timed" | "release";

/** A signal of somebody else. */
export interface SignalRow {
  /** Sender's client, kind and key: what a later signal replaces, or ends. */
  readonly id: string;
  readonly user: string;
  readonly kind: string;
  readonly key: string;
  readonly payload: Uint8Array;
  /** What a timed signal of this id began has ended. */
  readonly ended: boolean;
}

/** What goes with a signal. */
export interface SignalOptions {
  /** `latest` unless given. */
  readonly class?: SignalClass;
  /** What it replaces or ends; at most 64 bytes. */
  readonly key?: string;
  /** At most 1,024 bytes. An empty one takes a `latest` signal away. */
  readonly payload?: Uint8Array;
}

/** How the connection is doing. */
export type ConnectionState =
  /** `connect` was not called, or `disconnect` was. */
  | "idle"
  /** The token is being fetched, or was refused. */
  | "token-needed"
  | "connecting"
  /** The socket is open; the server looks at the token. */
  | "authenticating"
  | "online"
  /** It will try again at `retryAt`. */
  | "waiting"
  /** The device has no network. */
  | "offline"
  /** It won't try again by itself; see `error`. */
  | "failed";

/** The state of the connection. */
export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  /** Who this client is; known from the first `online` on. */
  readonly user?: { readonly id: string; readonly name: string };
  /** While `waiting`: milliseconds since 1970, by this device's clock. */
  readonly retryAt?: number;
  /** While `waiting`: how many attempts have failed in a row. */
  readonly attempt: number;
  /** Why it is `failed`, or why the last connection ended. */
  readonly error?: CodedError;
}

/** What went over the socket so far. */
export interface Traffic {
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly framesIn: number;
  readonly framesOut: number;
}

/** What a room is created with. */
export interface CreateRoomInput {
  /** 1 to 64 characters. */
  readonly name: string;
  /** At most 250 characters. */
  readonly topic?: string;
  /** `public` unless given. */
  readonly visibility?: Visibility;
}

/** What a message is posted with. */
export interface PostOptions {
  /** Ids of the users that it mentions; at most 50. */
  readonly mentions?: readonly string[];
}

/**
 * Where a client keeps what must survive a reload: messages that were not sent yet, and snapshots of rooms.
 *
 * A key that was not written is absent. Failures are told once, by the event `storage`; the client goes on without.
 */
export interface StorageAdapter {
  /** Everything that was written and not deleted. Called once, before the first connection. */
  load(): StoredRecords | Promise<StoredRecords>;
  /** Applies the changes in order; `null` deletes. Calls do not overlap in time, unless the page is going away. */
  write(changes: readonly StorageChange[]): void | Promise<void>;
  /**
   * One record, `null` when there is none. Where it is given, `load` may leave out the bytes of records whose key begins
   * with `snap/`: they are read when their room is opened. Without it they are kept in memory.
   */
  read?(key: string): Uint8Array | null | Promise<Uint8Array | null>;
  /** Lets go of what the adapter holds. */
  close?(): void;
}

/** What an adapter gives back. */
export type StoredRecords = Iterable<readonly [key: string, value: Uint8Array]>;

/** A record to write, or to delete. */
export type StorageChange = readonly [key: string, value: Uint8Array | null];

/** What a client is made with. Every time is in milliseconds. */
export interface ClientOptions {
  /** Where the server is: `https://chat.example`, or the address of its socket, `wss://chat.example/ws`. */
  readonly url: string | URL;
  /**
   * What the server knows the user by. A function is called for the first token and whenever the server wants a new
   * one, never twice at once; when it fails it is called again later.
   */
  readonly token: string | (() => Promise<string>);
  /** Name and version of the app, for the server's log. */
  readonly agent?: string;
  /** Where to keep records; the browser's local storage unless given, `null` for nowhere. */
  readonly storage?: StorageAdapter | null;
  /** How long a room that was left stays Background; 60,000 unless given. */
  readonly backgroundFor?: number;
  /** How long it stays Cached after that; 1,800,000 unless given. */
  readonly cachedFor?: number;
  /** How many rooms may be Cached; 100 unless given. */
  readonly cachedRooms?: number;
  /** How long a room that nobody holds stays Active, so that a view that is torn down and built up again costs nothing; 150 unless given. */
  readonly activeGrace?: number;
  /**
   * Bytes that a recording of the session may have, which {@link Client.trace} gives out; none is made unless given.
   * It holds everything, tokens too: `redactTrace` of `enfilade/testing` takes out what people wrote.
   */
  readonly record?: number;
}

/** What a client tells besides its state. */
export interface ClientEvents {
  /** The server refused an operation, which is undone here. */
  rejected: {
    readonly roomId: string;
    readonly opId: string;
    readonly error: EnfiladeError;
    /** The text, when it was a message. */
    readonly text?: string;
  };
  /** A room's state was replaced as a whole, with the reason. */
  resynced: { readonly roomId: string; readonly error: CodedError };
  /** Somebody mentioned the user of this client. */
  notified: NotificationRow;
  /** A timed signal is to be played, or what it began is to end. Whatever has begun is ended, at the latest when the connection is lost. */
  signal: { readonly roomId: string; readonly signal: SignalRow };
  /** Something failed that belongs to no command. */
  error: EnfiladeError;
  /** Records can't be kept; told once. */
  storage: EnfiladeError;
}

/**
 * A connection to a server, and everything that is held of its rooms. Made by {@link createClient}.
 *
 * Commands throw an {@link EnfiladeError}: `disposed` after {@link Client.dispose}, or the code by which the server
 * would refuse.
 */
export interface Client {
  /** How the connection is doing. */
  readonly connection: Readable<ConnectionSnapshot>;
  /** All rooms that are listed or held, the one with the newest activity first. Asked of the server while somebody subscribes. */
  readonly rooms: Readable<readonly RoomRow[]>;
  /** Friends, requests, blocks and follows, by user id. */
  readonly contacts: Readable<readonly ContactRow[]>;
  /** Mentions of the user of this client, newest first. */
  readonly notifications: Readable<readonly NotificationRow[]>;
  /**
   * Fulfilled when everything that was kept is there again, or it is known that nothing can be. What is written
   * before that does not survive a reload; connecting waits for it by itself. Never rejected.
   */
  readonly ready: Promise<void>;
  /** A handle to a room. Has no effect on its tier; the same object for the same id. */
  room(id: string): Room;
  /** Creates a room, and joins it. It can be used at once; the server learns of it when there is a connection. */
  createRoom(input: CreateRoomInput): Room;
  /**
   * Asks for an operation of the user's own: friends, blocks, follows, the status.
   *
   * @returns its id.
   */
  submit(operation: Operation): string;
  /** Connects, and stays connected from then on. Does nothing when it does so already; after `failed` it tries again. */
  connect(): void;
  /** Ends the connection, and keeps everything. */
  disconnect(): void;
  /** Ends the connection and forgets everything that is held or kept, unsent messages too. */
  logout(): void;
  /** Ends the connection and lets go of all memory. Calling it again does nothing. */
  dispose(): void;
  /** Whether `dispose` was called. */
  readonly disposed: boolean;
  /** What went over the socket so far. */
  traffic(): Traffic;
  /** The recording so far, for a bug report; `undefined` unless {@link ClientOptions.record} was given. */
  trace(): Uint8Array | undefined;
  /** Calls `listener` for each event of that name. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (event: ClientEvents[Name]) => void): () => void;
}

/** A handle to a room; costs nothing to hold. */
export interface Room {
  readonly id: string;
  /** Everything about the room but its messages. */
  readonly view: Readable<RoomSnapshot>;
  /** The messages that are held, oldest first; those that are not sent yet stand at the end. */
  readonly messages: Readable<readonly MessageRow[]>;
  /**
   * The messages that are pinned, oldest pin first; known while the room is Active. One that lies further back than
   * what is held may have no ordinal and no text yet.
   */
  readonly pins: Readable<readonly MessageRow[]>;
  /** Who has joined, by user id; known while the room is Active. */
  readonly members: Readable<readonly MemberRow[]>;
  /**
   * Teams, scores, and the first hundred of the leaderboard; known while the room is Active. Others by
   * {@link Room.leaders}.
   */
  readonly scores: Readable<Scores>;
  /** The latest signals of others: cursors, who is typing. Each counts for ten seconds unless it is repeated. */
  readonly signals: Readable<readonly SignalRow[]>;
  /**
   * Makes the room Active for as long as somebody holds it.
   *
   * @returns a function that lets go; calling it again does nothing.
   */
  acquire(): () => void;
  /** Puts the room into a tier until somebody acquires or releases it. */
  setTier(tier: Tier): void;
  /**
   * Posts a message, which stands at the end of {@link Room.messages} at once.
   *
   * @returns its id.
   */
  post(text: string, options?: PostOptions): string;
  /**
   * Asks for an operation: moderation, roles, the room's rules, scores. Points that wait to be sent are one operation.
   *
   * @returns its id.
   */
  submit(operation: Operation): string;
  /** The leaderboard from a place on, counted from 0; around somebody by their rank. */
  leaders(from: number, count: number): readonly ScoreRow[];
  /** Takes back what was not sent yet; `false` when it is too late. */
  cancel(id: string): boolean;
  /**
   * Gives a message another text: one's own, or anybody's for moderators. It is shown at once.
   *
   * @returns the id of the change; `rejected` tells it when the server refuses.
   */
  edit(id: string, text: string, options?: PostOptions): string;
  /** Deletes a message: one's own, or anybody's for moderators. Its place stays. */
  delete(id: string): string;
  /** Reacts to a message with an emoji, or takes that back. */
  react(id: string, reaction: string, on?: boolean): string;
  /** Pins a message, or unpins it; for moderators. */
  pin(id: string, on?: boolean): string;
  /** Asks for what is missing, by {@link GapRow.after}, until nothing is. */
  fillGap(after: number): void;
  /** Becomes a member, who may write. */
  join(): void;
  /** Ends the membership. */
  leave(): void;
  /** Says that everything up to the newest message has been read. */
  markRead(): void;
  /** Asks for older messages, 100 unless given; they appear at the beginning of {@link Room.messages}. */
  loadOlder(limit?: number): void;
  /**
   * Sends a signal of this kind (at most 32 bytes) to everybody who has the room open.
   *
   * @returns whether it was taken: not without a connection, or while the room is not Active.
   */
  signal(kind: string, options?: SignalOptions): boolean;
  /** Remembers what is being written. */
  setDraft(text: string): void;
}
