import { codes } from "./codes.js";
import type { Core, RoomChanges } from "./core.js";
import { NO_SCORES, NONE, unknownRoom } from "./empty.js";
import { codedError, EnfiladeError } from "./errors.js";
import { encodeOperation, type Operation } from "./operation.js";
import { type Changeable, Pulled, share, shareRows } from "./store.js";
import type {
  MemberRow,
  MessageRow,
  PostOptions,
  Readable,
  Room,
  RoomSnapshot,
  ScoreRow,
  Scores,
  SignalClass,
  SignalOptions,
  SignalRow,
  Tier,
} from "./types.js";

/** A page of history. */
const OLDER = 100;
/** What a leaderboard shows without being asked for more. */
const LEADERS = 100;
/** Beyond every ordinal. */
const ALL = Number.MAX_SAFE_INTEGER;

const TIERS: Readonly<Record<Tier, number>> = { unloaded: 0, cached: 1, background: 2, active: 3 };

const SIGNAL_CLASSES: Readonly<Record<SignalClass, number>> = { latest: 0, timed: 1, release: 2 };
const EMPTY = new Uint8Array();

/** What a room needs of its client. */
export interface RoomHost {
  run<T>(command: (core: Core) => T): T;
  read<T>(otherwise: T, view: (core: Core) => T): T;
}

/** A handle over the client's core. Methods may be taken off it: React's hooks hand them out one by one. */
export class LiveRoom implements Room {
  readonly id: string;
  readonly view: Readable<RoomSnapshot>;
  readonly messages: Readable<readonly MessageRow[]>;
  readonly members: Readable<readonly MemberRow[]>;
  readonly scores: Readable<Scores>;
  readonly pins: Readable<readonly MessageRow[]>;
  readonly signals: Readable<readonly SignalRow[]>;

  #host: RoomHost;
  #view: Pulled<RoomSnapshot>;
  #messages: Pulled<readonly MessageRow[]>;
  #members: Pulled<readonly MemberRow[]>;
  #scores: Pulled<Scores>;
  #pins: Pulled<readonly MessageRow[]>;
  #signals: Pulled<readonly SignalRow[]>;
  /** Confirmed messages, ascending by ordinal, and those that wait behind them. */
  #confirmed: readonly MessageRow[] = NONE;
  #pending: readonly MessageRow[] = NONE;
  #reset = false;
  /** Ordinals of messages that are to be read again. */
  #changed = new Set<number>();

  constructor(id: string, host: RoomHost) {
    this.id = id;
    this.#host = host;
    this.view = this.#view = new Pulled(unknownRoom(id), (before) => this.#pullView(before));
    this.messages = this.#messages = new Pulled<readonly MessageRow[]>(NONE, (before) =>
      this.#pullMessages(before),
    );
    this.pins = this.#pins = new Pulled<readonly MessageRow[]>(NONE, (before) =>
      this.#read(before, NONE, (core) => shareRows(before, core.pins(id))),
    );
    this.members = this.#members = new Pulled<readonly MemberRow[]>(NONE, (before) =>
      this.#read(before, NONE, (core) => shareRows(before, core.members(id))),
    );
    this.scores = this.#scores = new Pulled(NO_SCORES, (before) =>
      this.#read(before, NO_SCORES, (core) => share(before, core.scores(id, 0, LEADERS))),
    );
    this.signals = this.#signals = new Pulled<readonly SignalRow[]>(NONE, (before) =>
      this.#read(before, NONE, (core) => shareRows(before, core.signals(id))),
    );
  }

  /** Marks what has changed as such, and returns it. */
  invalidate({
    reset,
    messages,
    pending,
    members,
    signals,
    scores,
    changed: others,
    pins,
  }: RoomChanges): Changeable[] {
    const changed: Changeable[] = [this.#view];
    if (reset || messages || pending || others.length > 0) changed.push(this.#messages);
    if (reset || pins) changed.push(this.#pins);
    if (reset || members) changed.push(this.#members);
    if (reset || scores || pending) changed.push(this.#scores);
    if (reset || signals) changed.push(this.#signals);
    this.#reset ||= reset;
    for (const ordinal of others) this.#changed.add(ordinal);
    for (const view of changed) view.invalidate();
    return changed;
  }

  /** The text of a message that was seen waiting. */
  textOf(op: string): string | undefined {
    return this.#pending.find((row) => row.id === op)?.text;
  }

  readonly acquire = (): (() => void) => {
    let held = this.#unlessImpossible(false, () => {
      this.#host.run((core) => core.acquire(this.id));
      return true;
    });
    return () => {
      if (!held) return;
      held = false;
      this.#host.read(undefined, () => this.#host.run((core) => core.release(this.id)));
    };
  };

  readonly setTier = (tier: Tier): void => this.#host.run((core) => core.set_tier(this.id, TIERS[tier]));

  readonly post = (text: string, { mentions = NONE }: PostOptions = {}): string =>
    this.#host.run((core) => core.post(this.id, text, [...mentions]));

  readonly submit = (operation: Operation): string =>
    this.#host.run((core) => core.submit_op(this.id, encodeOperation(operation)));

  readonly leaders = (from: number, count: number): readonly ScoreRow[] =>
    this.#read<readonly ScoreRow[]>(NONE, NONE, (core) => core.scores(this.id, from, count).leaders);

  readonly cancel = (id: string): boolean => this.#host.run((core) => core.cancel(id));

  readonly edit = (id: string, text: string, { mentions = NONE }: PostOptions = {}): string =>
    this.#host.run((core) => core.edit_message(this.id, id, text, [...mentions]));

  readonly delete = (id: string): string => this.#host.run((core) => core.delete_message(this.id, id));

  readonly react = (id: string, reaction: string, on = true): string =>
    this.#host.run((core) => core.react(this.id, id, reaction, !on));

  readonly pin = (id: string, on = true): string => this.#host.run((core) => core.pin(this.id, id, !on));

  readonly fillGap = (after: number): void => this.#host.run((core) => core.fill_gap(this.id, after));

  readonly join = (): void => void this.#host.run((core) => core.join(this.id));

  readonly leave = (): void => void this.#host.run((core) => core.leave(this.id));

  readonly markRead = (): void => this.#host.run((core) => core.mark_read(this.id));

  readonly loadOlder = (limit = OLDER): void => this.#host.run((core) => core.load_older(this.id, limit));

  readonly signal = (
    kind: string,
    { class: of = "latest", key = "", payload = EMPTY }: SignalOptions = {},
  ): boolean => this.#host.run((core) => core.signal(this.id, SIGNAL_CLASSES[of], kind, key, payload));

  readonly setDraft = (text: string): void => this.#host.run((core) => core.set_draft(this.id, text));

  #pullView(before: RoomSnapshot): RoomSnapshot {
    const unknown = unknownRoom(this.id);
    const impossible: RoomSnapshot = {
      ...unknown,
      synced: "failed",
      error: codedError(codes.invalid_room_id.code),
    };
    return this.#read(before, impossible, (core) => {
      const held = core.room(this.id);
      if (!held) return share(before, unknown);
      const { error, ...rest } = held;
      return share(before, error === undefined ? rest : { ...rest, error: codedError(error) });
    });
  }

  #read<T>(before: T, impossible: T, view: (core: Core) => T): T {
    return this.#unlessImpossible(impossible, () => this.#host.read(before, view));
  }

  /** An id may come from an address bar. The view says that there is no such room; what shows it need not fail. */
  #unlessImpossible<T>(otherwise: T, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof EnfiladeError && error.codeName === "invalid_room_id") return otherwise;
      throw error;
    }
  }

  /** Takes over what was dropped and added at the ends; rows in between stay what they are. */
  #pullMessages(before: readonly MessageRow[]): readonly MessageRow[] {
    return this.#read(before, NONE, (core) => {
      const confirmed = this.#reset
        ? shareRows(this.#confirmed, core.messages(this.id, 0, ALL))
        : this.#reread(core, this.#extend(core));
      const pending = shareRows(this.#pending, core.pending(this.id));
      this.#reset = false;
      this.#changed.clear();
      if (confirmed === this.#confirmed && pending === this.#pending) return before;
      this.#confirmed = confirmed;
      this.#pending = pending;
      return pending.length === 0 ? confirmed : [...confirmed, ...pending];
    });
  }

  #extend(core: Core): readonly MessageRow[] {
    const first = core.first_ordinal(this.id);
    if (first === 0) return NONE;
    const known = this.#confirmed;
    const kept =
      (known[0]?.ordinal ?? first) < first ? known.filter(({ ordinal = 0 }) => ordinal >= first) : known;
    const [lowest, highest] = [kept[0]?.ordinal, kept.at(-1)?.ordinal];
    if (lowest === undefined || highest === undefined) return core.messages(this.id, 0, ALL);
    const older = first < lowest ? core.messages(this.id, 0, lowest) : NONE;
    const newer = core.messages(this.id, highest, ALL);
    return older.length === 0 && newer.length === 0 ? kept : [...older, ...kept, ...newer];
  }

  /** Reads messages again that are others than before; the list keeps its identity where none is held. */
  #reread(core: Core, rows: readonly MessageRow[]): readonly MessageRow[] {
    let next: MessageRow[] | undefined;
    for (const ordinal of this.#changed) {
      const index = rows.findIndex((row) => row.ordinal === ordinal);
      const [row] = index < 0 ? [] : core.messages(this.id, ordinal - 1, ordinal + 1);
      if (!row) continue;
      next ??= [...rows];
      next[index] = share(rows[index] ?? row, row);
    }
    return next ?? rows;
  }
}
