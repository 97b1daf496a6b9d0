//! Every bound of the core, each with its reason.

/// Integers that travel stay below this, because JSON readers and JavaScript hold no larger ones exactly.
pub const INTEGER_BOUND: u64 = 1 << 53;
/// A room id is part of keys and of every first frame of a room.
pub const ROOM_ID_BYTES: usize = 64;
/// Leaves room for the prefix of the inbox within a room id.
pub const USER_ID_BYTES: usize = 48;
/// Names are shown in one line.
pub const NAME_CHARS: usize = 64;
/// A topic is a sentence or two.
pub const TOPIC_CHARS: usize = 250;
/// What a person writes at once; longer texts are documents, not messages.
pub const TEXT_CHARS: usize = 4_000;
/// Each mention is one entry in another room.
pub const MENTIONS: usize = 50;
/// The name of an emote, between its colons.
pub const EMOTE_CHARS: usize = 32;
/// Characters of a message that its notification repeats.
pub const EXCERPT_CHARS: usize = 140;
/// An op is kept and relayed to everybody; the largest element with its key fits, and so does its entry into a frame.
pub const OP_BYTES: usize = 48 * 1024;
/// An element's value: a long freehand line. Images are files, which an element names.
pub const ELEMENT_BYTES: usize = 40 * 1024;
/// A key is an id or a short path.
pub const ELEMENT_KEY_BYTES: usize = 128;
/// Indices grow by a digit where very much is put between two elements; healing shortens them.
pub const ELEMENT_INDEX_BYTES: usize = 256;
/// Elements of one write: a selection that is moved at once, and more is sent in pieces.
pub const ELEMENTS_PER_OP: usize = 512;
/// Elements of a room's map, tombstones included: writing moves a pointer for each of them at worst.
pub const ELEMENTS: usize = 16_384;
/// What an element counts for beside its texts: registers, pointers, tags.
pub const ELEMENT_OVERHEAD: usize = 96;
/// Bytes of a room's map, tombstones included, so that an Active room fits into its budget whatever is drawn.
pub const MAP_BYTES: usize = SNAPSHOT_BYTES * 3 / 10;
/// Milliseconds for which a deletion is remembered, so that whoever was away for a day brings nothing back.
pub const TOMBSTONE: u64 = 24 * 60 * 60_000;
/// The longest emoji, a family of four with skin tones, has 41; a name in colons is a word or two.
pub const REACTION_BYTES: usize = 64;
/// Different reactions to one message: what can be shown below it.
pub const REACTIONS: usize = 20;
/// Reactions to one message in all, so that it fits into a frame with its text at its longest.
pub const REACTED: usize = 200;
/// Pinned messages of a room: they travel with its state, whole.
pub const PINS: usize = 50;
/// The largest frame that either side takes.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Payload of one part of a BULK_SYNC, leaving room for the frame around it.
pub const BULK_PART_BYTES: usize = 60 * 1024;

/// Messages that an Active room holds.
pub const ACTIVE_MESSAGES: usize = 1_000;
/// Messages from beyond the window that an authority holds for operations on them.
pub const FETCHED_MESSAGES: usize = 64;
/// Messages that an authority fetches at a time; half of what it holds, so that none goes before its turn has come.
pub const FETCHES: usize = 32;
/// Changes of messages that an authority remembers while the store is being read.
pub const LATE_CHANGES: usize = 1_024;
/// Messages that a Background room holds.
pub const BACKGROUND_MESSAGES: usize = 50;
/// Messages that a client is sent when it opens a room; the rest is history.
pub const JOIN_MESSAGES: usize = 100;
/// Messages on a page of history.
pub const HISTORY_PAGE: usize = 100;
/// Notifications that an inbox holds.
pub const NOTIFICATIONS: usize = 100;
/// Mentions beyond the read marker that an inbox counts in one room; people don't read on from there.
pub const MENTIONS_COUNTED: usize = 1_000;
/// Mentions beyond the read markers that an inbox counts in all rooms together, beside the last of each.
pub const MENTIONS_HELD: usize = 100_000;
/// Rooms that an inbox follows.
pub const FOLLOWINGS: usize = 10_000;
/// Members of a room: the member list travels whole.
pub const MEMBERS: usize = 10_000;
/// Bans of a room, and mutes: they travel whole too. Those that have ended make place.
pub const SANCTIONS: usize = 10_000;
/// Users invited who have not joined.
pub const INVITED: usize = 1_000;
/// Users of whom an inbox knows something: friends, requests, blocks, follows. It travels whole.
pub const CONTACTS: usize = 2_000;
/// Friends, together with users asked to be; and as many who ask. Each is told of a status.
pub const FRIENDS: usize = 500;
/// Teams of a room's game: a screen shows them side by side.
pub const TEAMS: usize = 64;
/// Users with a score: as many as there may be members.
pub const PLAYERS: usize = MEMBERS;
/// Users who have left and whose slow mode is remembered.
pub const DEPARTED: usize = 1_000;
/// Badges of a member: what fits beside a name.
pub const BADGES: usize = 8;
/// A badge is a short word.
pub const BADGE_BYTES: usize = 32;

/// Clients whose last operations a room remembers; the one idle for longest goes first.
pub const CLIENT_WINDOWS: usize = 4_096;
/// Operations remembered of one client. More than may be in flight, so that every repetition is recognised.
pub const WINDOW_OPS: usize = 64;
/// Operations that a client sends without an answer.
pub const IN_FLIGHT: usize = 32;
/// Clients of a room hosted alone of which an operation says how far its author had seen them; of others it is not known.
pub const SEEN_CLIENTS: usize = 64;
/// Operations that wait in a client's queue: days of offline typing.
pub const PENDING_OPS: usize = 10_000;
/// Operations that wait for an authority; beyond, it says that it is overloaded.
pub const SUBMISSIONS: usize = 8_192;
/// Entries of one append, so that a batch stays far below a store's value limits.
pub const BATCH_OPS: usize = 512;
/// Bytes of one append.
pub const BATCH_BYTES: usize = 1024 * 1024;
/// A batch of so many entries is a burst, and the next operation is expected to be the first of another.
pub const BURST: usize = 4;
/// Milliseconds for which such an operation waits for the rest: one append and one write a receiver, instead of two.
pub const GATHER: u64 = 1;
/// Entries that a delta may hold; beyond, the whole state is smaller or as fast.
pub const DELTA_ENTRIES: usize = 500;
/// Bytes that a delta frame may hold.
pub const DELTA_BYTES: usize = 60 * 1024;
/// Bytes of the messages in one frame (a page of history, news of a Background room), leaving room for the rest.
pub const MESSAGES_BYTES: usize = 60 * 1024;
/// Conflicts of one user that wait for a choice. When another comes, the default of the oldest holds.
pub const CONFLICTS: usize = 32;
/// Conflicts that an inbox remembers, resolved ones included: more than are repeated after a crash.
pub const CONFLICTS_KNOWN: usize = 64;
/// One rule for each type of conflict.
pub const CONFLICT_RULES: usize = 8;
/// Bytes of a conflict's three sides: it is an entry of the inbox, which travels in one frame.
pub const CONFLICT_BYTES: usize = 54 * 1024;
/// Milliseconds that a user has to choose, where the room says nothing else: a week away is no choice.
pub const CONFLICT_TIMEOUT: u64 = 7 * 24 * 60 * 60_000;
/// The longest time to choose that a room may set: a year.
pub const CONFLICT_TIMEOUT_MAX: u64 = 365 * 24 * 60 * 60_000;
/// Recent entries that an authority keeps encoded to answer resumptions without the store.
pub const RECENT_ENTRIES: usize = 1_024;
/// And their bytes.
pub const RECENT_BYTES: usize = 1024 * 1024;
/// A snapshot is stored after this many entries.
pub const SNAPSHOT_EVERY: u64 = 1_000;

/// Rooms that one connection may hold Active or Background.
pub const LIVE_ROOMS: usize = 128;
/// Rooms that one connection may hold Cached.
pub const CACHED_ROOMS: usize = 1_024;
/// Rooms that a client fetches ahead of each navigation at most; beyond the first few, hardly one is opened.
pub const WARM_UP: u32 = 8;
/// Milliseconds that a room of low use stays Cached, and the base of the eviction score: half an hour.
pub const CACHED_FOR: u64 = 30 * 60_000;
/// Rooms whose use a client remembers; of those that it does not hold, the one visited longest ago goes first. A person
/// makes some thousand navigations in months, to far fewer rooms.
pub const ROOMS_SEEN: usize = 4_096;
/// Visits of the record on which another cache can be tried out; the oldest goes first.
pub const VISITS_RECORDED: usize = 4_096;
/// Evicted rooms of which it can be told why; the oldest goes first.
pub const EVICTIONS_RECORDED: usize = 64;
/// Rows on one page of a room list.
pub const ROOM_LIST_PAGE: usize = 100;
/// And their bytes, leaving room for the frame around them.
pub const ROOM_LIST_BYTES: usize = 60 * 1024;
/// Users that presence names; beyond, it counts.
pub const PRESENT_USERS: usize = 100;
/// Where the user has scrolled to is an id and an offset.
pub const SCROLL_BYTES: usize = 64;
/// Users that a summary names.
pub const SUMMARY_USERS: usize = 5;
/// A signal is a position or a key press.
pub const SIGNAL_BYTES: usize = 1_024;
/// The kind of a signal is a short name.
pub const SIGNAL_KIND_BYTES: usize = 32;
/// What a signal replaces or releases: an instrument's key, a pointer's number.
pub const SIGNAL_KEY_BYTES: usize = 64;
/// Milliseconds over which the newest signals of a room are gathered: 30 frames a second look smooth.
pub const SIGNAL_INTERVAL: u64 = 33;
/// Milliseconds after which a signal that is not repeated counts no longer: somebody stopped typing, or is gone.
pub const SIGNAL_LASTS: u64 = 10_000;
/// The newest signals of a room, by sender, kind and key, that are gathered or shown; further ones are dropped.
pub const LATEST_SIGNALS: usize = 1_024;
/// What one player may hold at once: the keys of a piano, and then some.
pub const HELD_SIGNALS: usize = 128;
/// Timed signals of one room that wait to be played.
pub const TIMED_SIGNALS: usize = 1_024;
/// Milliseconds by which a sender's clock may be ahead; a time beyond is taken for now.
pub const SIGNAL_CLOCK_SKEW: u64 = 1_000;
/// A token is a few hundred bytes.
pub const TOKEN_BYTES: usize = 8 * 1024;
/// A snapshot, opened: a room of which everything is as large as may be has 47 MB, half of it
/// reasons of bans.
pub const STATE_BYTES: usize = 64 * 1024 * 1024;
/// Active's memory budget.
pub const SNAPSHOT_BYTES: usize = 10 * 1024 * 1024;
/// Messages of a snapshot, in bytes: as much as the map, so that members, windows and followings have the rest.
pub const SNAPSHOT_TIMELINE_BYTES: usize = SNAPSHOT_BYTES * 3 / 10;
/// Frames that can't be decoded before the connection is closed.
pub const MALFORMED_FRAMES: u32 = 8;

/// Milliseconds between two coalesced updates of a Background room.
pub const BACKGROUND_INTERVAL: u64 = 1_000;
/// Milliseconds over which changes of presence are gathered.
pub const PRESENCE_INTERVAL: u64 = 250;
/// Bytes of a presence record: every node reads those of all others.
pub const LEASE_BYTES: usize = 60 * 1024;
/// Milliseconds that a presence lease holds.
pub const LEASE: u64 = 30_000;
/// Milliseconds after which a lapsed lease means offline.
pub const LEASE_GRACE: u64 = 30_000;
