import { EnfiladeCore } from "./bindgen/enfilade_wasm.js";
import type { Core, CoreEvent, Drained, MakeCore, Refused } from "./core.js";
import { NONE, NOT_CONNECTED } from "./empty.js";
import { codedError, errorNamed, refusal } from "./errors.js";
import { isReady } from "./init.js";
import { encodeOperation, type Operation } from "./operation.js";
import { watchPage } from "./page.js";
import { LiveRoom } from "./room.js";
import { RoomList } from "./rooms.js";
import { Schedule } from "./schedule.js";
import { LocalRecords, Records } from "./storage.js";
import { type Changeable, call, Pulled, share, shareRows } from "./store.js";
import { TokenSource } from "./token.js";
import type {
  Client,
  ClientEvents,
  ClientOptions,
  ConnectionSnapshot,
  ContactRow,
  CreateRoomInput,
  NotificationRow,
  Readable,
  Room,
  RoomRow,
  Traffic,
  Visibility,
} from "./types.js";

/** The package's name and version, for the server's log. */
const AGENT = "enfilade-js/0.1.0";
/** React tears views down and builds them up again within a moment; a room that was left for less never left its tier. */
const ACTIVE_GRACE_MS = 150;

const VISIBILITIES: Readonly<Record<Visibility, number>> = { public: 0, unlisted: 1, private: 2 };

/** Makes a client. It holds no connection until {@link Client.connect}. Throws `not_initialised` before `init`. */
export function createClient(options: ClientOptions): Client {
  if (!isReady()) throw errorNamed("not_initialised");
  return new LiveClient(options, (...args) => new EnfiladeCore(...args));
}

/** The address of the socket of a server. */
export function socketUrl(url: string | URL): string {
  const address = new URL(url);
  if (address.protocol === "ws:" || address.protocol === "wss:") return address.href;
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.pathname = `${address.pathname.replace(/\/$/, "")}/ws`;
  return address.href;
}

type Listeners = { [Name in keyof ClientEvents]?: Set<(event: ClientEvents[Name]) => void> };

/**
 * The client over a handle of the core.
 *
 * The core calls `wake`, and nothing else of ours. What it has to say is drained; views are pulled by those who look.
 */
export class LiveClient implements Client {
  readonly connection: Readable<ConnectionSnapshot>;
  readonly rooms: Readable<readonly RoomRow[]>;
  readonly contacts: Readable<readonly ContactRow[]>;
  readonly notifications: Readable<readonly NotificationRow[]>;
  readonly ready: Promise<void>;

  #core: Core;
  #connection: Pulled<ConnectionSnapshot>;
  #rooms: Pulled<readonly RoomRow[]>;
  #contacts: Pulled<readonly ContactRow[]>;
  #notifications: Pulled<readonly NotificationRow[]>;
  #list = new RoomList();
  #handles = new Map<string, LiveRoom>();
  #schedule: Schedule;
  #token: TokenSource;
  #records: Records;
  #listeners: Listeners = {};
  /** What to tell at the next opportunity. */
  #changed = new Set<Changeable>();
  #events: (() => void)[] = [];
  #telling = false;
  #restored = false;
  #wanted = false;
  #disposed = false;
  #endings: (() => void)[] = [];

  constructor(options: ClientOptions, makeCore: MakeCore) {
    const url = socketUrl(options.url);
    this.#schedule = new Schedule(() => this.#tell());
    this.#core = makeCore(
      url,
      options.agent ? `${options.agent} ${AGENT}` : AGENT,
      options.backgroundFor,
      options.cachedFor,
      options.cachedRooms,
      options.activeGrace ?? ACTIVE_GRACE_MS,
      options.record,
      () => this.#schedule.paced(),
    );
    this.connection = this.#connection = new Pulled(NOT_CONNECTED, (before) => this.#pullConnection(before));
    this.rooms = this.#rooms = new Pulled<readonly RoomRow[]>(
      NONE,
      (before) => (this.#disposed ? before : this.#list.pull(this.#core)),
      (watched) => this.#disposed || this.run((core) => core.watch_rooms(watched)),
    );
    this.contacts = this.#contacts = new Pulled<readonly ContactRow[]>(NONE, (before) =>
      this.#disposed ? before : shareRows(before, this.#core.contacts()),
    );
    this.notifications = this.#notifications = new Pulled<readonly NotificationRow[]>(NONE, (before) =>
      this.#disposed ? before : shareRows(before, this.#core.notifications()),
    );
    this.#token = new TokenSource(
      options.token,
      (token) => this.#disposed || this.run((core) => core.set_token(token)),
      (error) => this.#emit("error", error),
    );
    const adapter = options.storage === undefined ? localRecords(url) : options.storage;
    this.#records = new Records(adapter, (error) => this.#emit("storage", error));
    this.#endings.push(
      watchPage(
        (what) => this.run((core) => core.network(what)),
        () => this.#drain(),
      ),
    );
    this.ready = this.#restore();
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  readonly room = (id: string): Room => {
    let room = this.#handles.get(id);
    if (!room) {
      room = new LiveRoom(id, this);
      this.#handles.set(id, room);
    }
    return room;
  };

  readonly createRoom = ({ name, topic = "", visibility = "public" }: CreateRoomInput): Room =>
    this.room(this.run((core) => core.create_room(name, topic, VISIBILITIES[visibility])));

  readonly connect = (): void => {
    this.#wanted = true;
    this.run((core) => {
      if (this.#restored) core.connect();
    });
  };

  readonly disconnect = (): void => {
    this.#wanted = false;
    this.#token.stop();
    this.run((core) => core.disconnect());
  };

  readonly submit = (operation: Operation): string =>
    this.run((core) =>
      core.submit_op(`inbox:${core.connection().user?.id ?? ""}`, encodeOperation(operation)),
    );

  readonly logout = (): void => {
    this.#wanted = false;
    this.#token.stop();
    this.run((core) => core.logout());
  };

  readonly dispose = (): void => {
    if (this.#disposed) return;
    // What the last commands want to be kept.
    this.#drain();
    this.#disposed = true;
    this.#schedule.end();
    this.#token.stop();
    for (const end of this.#endings) end();
    this.#records.close();
    this.#core.dispose();
    this.#core.free();
  };

  readonly traffic = (): Traffic => {
    const [bytesIn = 0, bytesOut = 0, framesIn = 0, framesOut = 0] = this.run((core) => core.traffic());
    return { bytesIn, bytesOut, framesIn, framesOut };
  };

  readonly trace = (): Uint8Array | undefined => {
    const trace = this.read<Uint8Array | undefined>(undefined, (core) => core.trace());
    return trace?.length ? trace : undefined;
  };

  readonly on = <Name extends keyof ClientEvents>(
    name: Name,
    listener: (event: ClientEvents[Name]) => void,
  ): (() => void) => {
    const listeners: Set<(event: ClientEvents[Name]) => void> = this.#listeners[name] ?? new Set();
    (this.#listeners as Record<Name, typeof listeners>)[name] = listeners;
    const entry = (event: ClientEvents[Name]) => listener(event);
    listeners.add(entry);
    return () => listeners.delete(entry);
  };

  /** Runs a command, and takes in what came of it: a view that is read next shows it. */
  run<T>(command: (core: Core) => T): T {
    if (this.#disposed) throw errorNamed("disposed");
    try {
      return command(this.#core);
    } catch (error) {
      throw coded(error);
    } finally {
      this.#drain();
      if (this.#changed.size > 0) this.#schedule.soon();
    }
  }

  /** Reads from the core; `otherwise` when there is none any more. */
  read<T>(otherwise: T, view: (core: Core) => T): T {
    if (this.#disposed) return otherwise;
    try {
      return view(this.#core);
    } catch (error) {
      throw coded(error);
    }
  }

  async #restore(): Promise<void> {
    const records = await this.#records.load();
    if (this.#disposed) return;
    this.#restored = true;
    this.run((core) => {
      if (records.length > 0) core.restore(records);
      if (this.#wanted) core.connect();
    });
  }

  #pullConnection(before: ConnectionSnapshot): ConnectionSnapshot {
    if (this.#disposed) return NOT_CONNECTED;
    const { error, ...rest } = this.#core.connection();
    return share(before, error === undefined ? rest : { ...rest, error: codedError(error) });
  }

  /** Takes out of the core what it has to say. Tells nobody yet. */
  #drain(): void {
    if (this.#disposed) return;
    const drained: Drained = this.#core.drain();
    if (drained.connection) this.#invalidate(this.#connection);
    if (drained.rooms.length > 0) {
      this.#list.changed(drained.rooms);
      this.#invalidate(this.#rooms);
    }
    if (drained.notifications) this.#invalidate(this.#notifications);
    if (drained.notifications) this.#invalidate(this.#contacts);
    for (const event of drained.events) this.#take(event);
    for (const changes of drained.changes) {
      for (const view of this.#handles.get(changes.id)?.invalidate(changes) ?? NONE) this.#changed.add(view);
    }
    this.#records.write(drained.records);
    for (const key of drained.loads) this.#load(key);
  }

  /** Hands a record in: at once, where the storage answers at once. */
  #load(key: string): void {
    const handIn = (record: Uint8Array | null) => {
      if (!this.#disposed) this.run((core) => core.loaded(key, record ?? undefined));
    };
    const found = this.#records.read(key);
    if (found instanceof Promise) found.then(handIn, () => handIn(null));
    else handIn(found);
  }

  #invalidate(view: Changeable): void {
    view.invalidate();
    this.#changed.add(view);
  }

  /** Tells everybody what has changed since the last time, views first. */
  #tell(): void {
    this.#telling = true;
    this.#drain();
    this.#telling = false;
    const views = [...this.#changed];
    const events = this.#events;
    this.#changed.clear();
    this.#events = [];
    for (const view of views) view.notify();
    for (const event of events) event();
  }

  #take(event: CoreEvent): void {
    switch (event.kind) {
      case "token-needed":
        this.#token.want();
        break;
      case "notified":
        this.#emit("notified", event.notification);
        break;
      case "signal":
        this.#emit("signal", { roomId: event.room, signal: event.signal });
        break;
      case "resynced":
        this.#emit("resynced", { roomId: event.room, error: codedError(event.code) });
        break;
      case "error":
        this.#emit("error", refusal(event));
        break;
      case "rejected": {
        const text = this.#handles.get(event.room)?.textOf(event.op);
        const error = refusal(event);
        const seen = text === undefined ? {} : { text };
        this.#emit("rejected", { roomId: event.room, opId: event.op, error, ...seen });
      }
    }
  }

  #emit<Name extends keyof ClientEvents>(name: Name, event: ClientEvents[Name]): void {
    this.#events.push(() => {
      for (const listener of [...(this.#listeners[name] ?? [])]) call(listener, event);
    });
    // Unless it is just being told.
    if (!this.#telling) this.#schedule.soon();
  }
}

/** Asks whether there is a storage, not for it: a browser that forbids it throws at those who do. */
function localRecords(url: string): LocalRecords | null {
  return "localStorage" in globalThis && "sessionStorage" in globalThis
    ? new LocalRecords(new URL(url).host)
    : null;
}

/** What the core throws is data; everything else is passed on as it is. */
function coded(error: unknown): unknown {
  const isRefused = typeof error === "object" && error !== null && "code" in error && "retryAfter" in error;
  return isRefused ? refusal(error as Refused) : error;
}
