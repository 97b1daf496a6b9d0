import { createClient } from "../client.js";
import { type InitSource, init } from "../init.js";
import type { Client, ClientOptions } from "../types.js";

/**
 * How long a client that nobody holds is kept. StrictMode mounts, unmounts and mounts again within one task, and hot
 * reloading within a moment; neither may cost a connection.
 */
const GRACE_MS = 1_000;

/** What a provider renders by: a client, one that waits for its records, or why there is none. */
export interface Held {
  readonly client?: Client;
  readonly waiting?: Client;
  readonly error?: unknown;
}

const NOTHING: Held = Object.freeze({});

/** A client that exists while somebody holds it. Making one of these does nothing, so it may be made in render. */
export class HeldClient {
  #options: ClientOptions;
  #wasm: InitSource | undefined;
  #held: Held = NOTHING;
  #holders = 0;
  #grace: ReturnType<typeof setTimeout> | undefined;
  #listeners = new Set<() => void>();

  constructor(options: ClientOptions, wasm?: InitSource) {
    this.#options = options;
    this.#wasm = wasm;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly getSnapshot = (): Held => this.#held;

  readonly getServerSnapshot = (): Held => NOTHING;

  /** Holds the client; returns what lets go of it. */
  readonly hold = (): (() => void) => {
    this.#holders += 1;
    clearTimeout(this.#grace);
    if (this.#held === NOTHING) void this.#start();
    let released = false;
    return () => {
      if (released) return;
      released = true;
      this.#holders -= 1;
      if (this.#holders === 0) this.#grace = setTimeout(() => this.#stop(), GRACE_MS);
    };
  };

  async #start(): Promise<void> {
    try {
      await init(this.#wasm);
      if (this.#holders === 0 || this.#held !== NOTHING) return;
      const client = createClient(this.#options);
      client.connect();
      this.#set({ waiting: client });
      await client.ready;
      if (this.#held.waiting === client) this.#set({ client });
    } catch (error) {
      if (this.#holders > 0) this.#set({ error });
    }
  }

  #stop(): void {
    (this.#held.client ?? this.#held.waiting)?.dispose();
    this.#set(NOTHING);
  }

  #set(held: Held): void {
    this.#held = held;
    for (const listener of [...this.#listeners]) listener();
  }
}
