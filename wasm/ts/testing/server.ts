import { AloneServer } from "../bindgen/enfilade_testing.js";

/** How a server in the process begins. */
export interface ServerOptions {
  /** Everything that is drawn by lot comes from it; 1 unless given. */
  readonly seed?: number | bigint;
  /** What was stored before. */
  readonly records?: readonly (readonly [string, Uint8Array])[];
  /** Called with each record to be stored, `null` to be deleted, before anybody is told of what is in it. */
  readonly store?: (key: string, value: Uint8Array | null) => void;
}

/** A server in the process. A token is a user's id, or that and a display name after a space. */
export interface LocalServer {
  /** In place of the global one: whatever it is given for an address, it connects with this server. */
  readonly WebSocket: new (
    url: string | URL,
    protocols?: string | string[],
  ) => WebSocket;
  /** Ids of the rooms that have a log. */
  rooms(): readonly string[];
  /** Breaks all connections, as a network does. */
  cut(): void;
  /** Ends everything. */
  dispose(): void;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 3;
const ABNORMAL = 1006;
const TRY_LATER = 1013;

/** Starts a server. {@link initTesting} has to be done. */
export function startServer({ seed = 1, records = [], store }: ServerOptions = {}): LocalServer {
  const server = new AloneServer(BigInt(seed), records, Date.now());
  const sockets = new Map<number, Socket>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let disposed = false;

  /** Does what the server wants, and sets its timer. */
  function pump(): void {
    if (disposed) return;
    for (const output of server.drain()) {
      if (output.kind === "persist") store?.(output.key, output.value);
      else if (output.kind === "send") sockets.get(output.conn)?.receive(output.bytes);
      else sockets.get(output.conn)?.end(output.code);
    }
    clearTimeout(timer);
    const due = server.deadline();
    if (due !== undefined) {
      const wake = () => {
        if (disposed) return;
        server.timeout(Date.now());
        pump();
      };
      timer = setTimeout(wake, Math.max(0, due - Date.now()));
    }
  }

  /** As much of a WebSocket as a client uses. Nothing happens within the caller's own call. */
  class Socket extends EventTarget {
    readonly url: string;
    readonly protocol: string;
    binaryType: BinaryType = "arraybuffer";
    readyState = CONNECTING;
    #conn: number | undefined;

    constructor(url: string | URL, protocols: string | string[] = []) {
      super();
      this.url = String(url);
      this.protocol = [protocols].flat()[0] ?? "";
      queueMicrotask(() => this.#open());
    }

    send(data: ArrayBufferView | ArrayBuffer): void {
      const conn = this.#conn;
      const bytes =
        data instanceof ArrayBuffer
          ? new Uint8Array(data.slice(0))
          : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
      queueMicrotask(() => {
        if (disposed || conn === undefined || this.readyState !== OPEN) return;
        server.frame(conn, bytes, Date.now());
        pump();
      });
    }

    close(code = 1000): void {
      if (this.readyState === CLOSED) return;
      this.#leave();
      queueMicrotask(() => this.#closed(code));
    }

    receive(bytes: Uint8Array<ArrayBuffer>): void {
      queueMicrotask(() => {
        if (this.readyState === OPEN) this.#tell("message", { data: bytes.slice().buffer });
      });
    }

    end(code: number): void {
      if (this.readyState === CLOSED) return;
      this.#leave();
      queueMicrotask(() => this.#closed(code));
    }

    #open(): void {
      if (this.readyState !== CONNECTING) return;
      this.#conn = disposed ? undefined : server.connect(Date.now());
      if (this.#conn === undefined) {
        this.end(TRY_LATER);
        return;
      }
      sockets.set(this.#conn, this);
      this.readyState = OPEN;
      this.#tell("open", {});
      pump();
    }

    /** The server hears of it. */
    #leave(): void {
      this.readyState = CLOSED;
      if (this.#conn === undefined || disposed) return;
      sockets.delete(this.#conn);
      server.disconnect(this.#conn, Date.now());
      queueMicrotask(pump);
    }

    #closed(code: number): void {
      this.#tell("close", { code, reason: "", wasClean: code !== ABNORMAL });
    }

    #tell(type: string, fields: object): void {
      const event = new Event(type);
      for (const [name, value] of Object.entries(fields)) Object.defineProperty(event, name, { value });
      this.dispatchEvent(event);
    }
  }

  return {
    // Handlers as properties, and blobs, are not for clients of ours.
    WebSocket: Socket as unknown as LocalServer["WebSocket"],
    rooms: () => server.rooms(),
    cut: () => {
      for (const socket of [...sockets.values()]) socket.end(ABNORMAL);
    },
    dispose: () => {
      if (disposed) return;
      for (const socket of [...sockets.values()]) socket.end(ABNORMAL);
      disposed = true;
      clearTimeout(timer);
      server.free();
    },
  };
}
