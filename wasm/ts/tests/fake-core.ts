import { LiveClient } from "../client.js";
import type { Core, CoreEvent, Drained, Numbered, RoomChanges } from "../core.js";
import { NO_SCORES, unknownRoom } from "../empty.js";
import type {
  ClientOptions,
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
} from "../types.js";

interface FakeRoom {
  view: Numbered<RoomSnapshot>;
  confirmed: MessageRow[];
  pending: MessageRow[];
  holders: number;
}

/** A core in memory, without a network: tests say what comes in, and see what was called. */
export class FakeCore implements Core {
  readonly calls: string[] = [];
  readonly pulls: string[] = [];
  disposed = false;
  #wake: () => void;
  #isWaking = false;
  #rooms = new Map<string, FakeRoom>();
  #rows: RoomRow[] = [];
  #counter = 0;
  #connection: Numbered<ConnectionSnapshot> = { state: "idle", attempt: 0 };
  #changed = { connection: false, rooms: [] as string[] };
  #changes = new Map<string, RoomChanges>();
  #events: CoreEvent[] = [];
  #records: StorageChange[] = [];
  #loads: string[] = [];

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Messages come in from others. */
  receive(room: string, ...texts: string[]): void {
    const { confirmed } = this.#room(room);
    for (const text of texts) {
      const ordinal = (confirmed.at(-1)?.ordinal ?? 0) + 1;
      confirmed.push(message({ id: `2-${ordinal}`, text, ordinal, status: "sent" }));
    }
    this.#change(room, { messages: true });
    this.#arrived();
  }

  /** Older messages come in. */
  prepend(room: string, rows: MessageRow[]): void {
    this.#room(room).confirmed.unshift(...rows);
    this.#change(room, { messages: true });
    this.#arrived();
  }

  /** Messages below this ordinal are not held any more. */
  drop(room: string, before: number): void {
    const held = this.#room(room);
    held.confirmed = held.confirmed.filter(({ ordinal = 0 }) => ordinal >= before);
    this.#change(room, { messages: true });
    this.#arrived();
  }

  /** The first pending message gets its place. */
  confirm(room: string): void {
    const held = this.#room(room);
    const row = held.pending.shift();
    if (!row) throw new Error("nothing is pending");
    const ordinal = (held.confirmed.at(-1)?.ordinal ?? 0) + 1;
    held.confirmed.push({ ...row, ordinal, status: "sent", cancellable: false });
    this.#change(room, { messages: true, pending: true });
    this.#arrived();
  }

  replace(room: string, rows: MessageRow[]): void {
    this.#room(room).confirmed = rows;
    this.#change(room, { reset: true });
    this.#arrived();
  }

  setView(room: string, part: Partial<Numbered<RoomSnapshot>>): void {
    const held = this.#room(room);
    held.view = { ...held.view, ...part };
    this.#change(room, {});
    this.#arrived();
  }

  list(rows: RoomRow[]): void {
    this.#changed.rooms.push(...rows.map(({ id }) => id), ...this.#rows.map(({ id }) => id));
    this.#rows = rows;
    this.#arrived();
  }

  setConnection(view: Numbered<ConnectionSnapshot>): void {
    this.#connection = view;
    this.#changed.connection = true;
    this.#arrived();
  }

  say(event: CoreEvent): void {
    this.#events.push(event);
    this.#arrived();
  }

  persist(...changes: StorageChange[]): void {
    this.#records.push(...changes);
    this.#arrived();
  }

  load(key: string): void {
    this.#loads.push(key);
    this.#arrived();
  }

  holders(room: string): number {
    return this.#rooms.get(room)?.holders ?? 0;
  }

  restore(records: readonly (readonly [string, Uint8Array])[]): void {
    this.calls.push(`restore ${records.map(([key]) => key)}`);
  }
  loaded(key: string, record?: Uint8Array): void {
    this.calls.push(`loaded ${key} ${record?.length ?? "none"}`);
  }
  set_token(token: string): void {
    this.calls.push(`set_token ${token}`);
  }
  connect(): void {
    this.calls.push("connect");
  }
  disconnect(): void {
    this.calls.push("disconnect");
  }
  logout(): void {
    this.calls.push("logout");
  }
  dispose(): void {
    this.disposed = true;
  }
  free(): void {}
  network(what: number): void {
    this.calls.push(`network ${what}`);
  }
  acquire(room: string): void {
    this.#room(room).holders += 1;
    this.calls.push(`acquire ${room}`);
    this.#change(room, {});
  }
  release(room: string): void {
    this.calls.push(`release ${room}`);
    this.#room(room).holders -= 1;
  }
  set_tier(room: string, tier: number): void {
    this.calls.push(`set_tier ${room} ${tier}`);
  }
  create_room(name: string): string {
    this.calls.push(`create_room ${name}`);
    return name;
  }
  join(room: string): string {
    this.calls.push(`join ${room}`);
    return "1-1";
  }
  leave(room: string): string {
    this.calls.push(`leave ${room}`);
    return "1-2";
  }
  post(room: string, text: string, mentions: string[]): string {
    if (!text) throw { code: 1004, retryAfter: 0, reason: "" };
    this.#counter += 1;
    const id = `1-${this.#counter}`;
    this.#room(room).pending.push(
      message({ id, text, mentions, status: "queued", mine: true, cancellable: true }),
    );
    this.#change(room, { pending: true });
    return id;
  }
  cancel(op: string): boolean {
    for (const [room, held] of this.#rooms) {
      const before = held.pending.length;
      held.pending = held.pending.filter(({ id }) => id !== op);
      if (held.pending.length === before) continue;
      this.#change(room, { pending: true });
      return true;
    }
    return false;
  }
  mark_read(room: string): void {
    this.calls.push(`mark_read ${room}`);
  }
  load_older(room: string, limit: number): void {
    this.calls.push(`load_older ${room} ${limit}`);
  }
  fill_gap(room: string, after: number): void {
    this.calls.push(`fill_gap ${room} ${after}`);
  }
  edit_message(room: string, id: string, text: string): string {
    this.#amend(room, id, { text, edited: true, changing: true });
    return "1-3";
  }
  delete_message(room: string, id: string): string {
    this.#amend(room, id, { text: "", deleted: true, changing: true });
    return "1-4";
  }
  react(room: string, id: string, reaction: string, removed: boolean): string {
    const reactions = removed ? [] : [{ reaction, users: ["ada"], mine: true }];
    this.#amend(room, id, { reactions, changing: true });
    return "1-5";
  }
  pin(room: string, id: string, removed: boolean): string {
    this.#amend(room, id, { pinned: !removed, changing: true });
    this.#change(room, { pins: true });
    return "1-6";
  }
  set_draft(room: string, draft: string): void {
    const held = this.#room(room);
    held.view = { ...held.view, draft };
    this.#change(room, {});
  }
  watch_rooms(on: boolean): void {
    this.calls.push(`watch_rooms ${on}`);
  }
  drain(): Drained {
    this.#isWaking = false;
    const drained = {
      ...this.#changed,
      notifications: false,
      changes: [...this.#changes.values()],
      events: this.#events,
      records: this.#records,
      loads: this.#loads,
    };
    this.#changed = { connection: false, rooms: [] };
    this.#changes.clear();
    this.#events = [];
    this.#records = [];
    this.#loads = [];
    return drained;
  }
  connection(): Numbered<ConnectionSnapshot> {
    return { ...this.#connection };
  }
  trace(): Uint8Array {
    return new Uint8Array();
  }

  traffic(): Float64Array {
    return Float64Array.of(10, 20, 1, 2);
  }
  room_order(): string {
    return this.#rows.map(({ id }) => id).join("\n");
  }
  room_rows(ids: string[]): (RoomRow | null)[] {
    this.pulls.push(`rows ${ids}`);
    return ids.map((id) => structuredClone(this.#rows.find((row) => row.id === id) ?? null));
  }
  notifications(): NotificationRow[] {
    return [];
  }
  room(room: string): Numbered<RoomSnapshot> {
    this.pulls.push(`room ${room}`);
    return structuredClone(this.#room(room).view);
  }
  signal(room: string, signalClass: number, kind: string, key: string): boolean {
    this.calls.push(`signal ${room} ${signalClass} ${kind} ${key}`);
    return true;
  }

  submit_op(room: string, op: Uint8Array): string {
    this.calls.push(`submit ${room} ${op}`);
    return "1-1";
  }

  scores(): Scores {
    return structuredClone(NO_SCORES);
  }

  contacts(): ContactRow[] {
    return [];
  }

  signals(): SignalRow[] {
    return [];
  }

  members(): MemberRow[] {
    return [];
  }
  first_ordinal(room: string): number {
    return this.#room(room).confirmed[0]?.ordinal ?? 0;
  }
  messages(room: string, after: number, before: number): MessageRow[] {
    const rows = this.#room(room).confirmed.filter(({ ordinal = 0 }) => ordinal > after && ordinal < before);
    this.pulls.push(`messages ${room} ${rows.length}`);
    return structuredClone(rows);
  }
  pending(room: string): MessageRow[] {
    return structuredClone(this.#room(room).pending);
  }

  pins(room: string): MessageRow[] {
    return structuredClone(this.#room(room).confirmed.filter(({ pinned }) => pinned));
  }

  #amend(room: string, id: string, part: Partial<MessageRow>): void {
    const held = this.#room(room);
    held.confirmed = held.confirmed.map((row) => (row.id === id ? { ...row, ...part } : row));
    const changed = held.confirmed.filter((row) => row.id === id).map(({ ordinal = 0 }) => ordinal);
    this.#change(room, { changed });
  }

  #room(id: string): FakeRoom {
    if (id.includes(" ")) throw { code: 1002, retryAfter: 0, reason: "" };
    const { error: _, ...view } = unknownRoom(id);
    const room = this.#rooms.get(id) ?? { view, confirmed: [], pending: [], holders: 0 };
    this.#rooms.set(id, room);
    return room;
  }

  #change(id: string, change: Partial<RoomChanges>): void {
    const none = {
      id,
      reset: false,
      messages: false,
      changed: [],
      pins: false,
      pending: false,
      members: false,
      scores: false,
      signals: false,
    };
    this.#changes.set(id, { ...(this.#changes.get(id) ?? none), ...change });
  }

  /** As the real one: the app is woken once until it drains, outside of whatever is going on. */
  #arrived(): void {
    if (this.#isWaking) return;
    this.#isWaking = true;
    queueMicrotask(() => this.#isWaking && this.#wake());
  }
}

/** A message, with what matters to the test. */
export function message(part: Partial<MessageRow> & { id: string }): MessageRow {
  return {
    author: "ada",
    authorName: "Ada",
    at: 1,
    text: "",
    mentions: [],
    status: "sent",
    mine: false,
    cancellable: false,
    edited: false,
    deleted: false,
    pinned: false,
    changing: false,
    reactions: [],
    ...part,
  };
}

/** A client over a fake core. */
export function fakeClient(options: Partial<ClientOptions> = {}): { client: LiveClient; core: FakeCore } {
  let core: FakeCore | undefined;
  const client = new LiveClient(
    { url: "http://localhost:1", token: "t", storage: null, ...options },
    (...args) => {
      core = new FakeCore(args[7]);
      return core;
    },
  );
  if (!core) throw new Error("the client made no core");
  return { client, core };
}

/** Until everybody has been told. */
export async function settled(): Promise<void> {
  await new Promise((done) => setTimeout(done, 40));
}
