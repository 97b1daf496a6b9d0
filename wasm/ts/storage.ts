import { type EnfiladeError, errorNamed } from "./errors.js";
import { call } from "./store.js";
import type { StorageAdapter, StorageChange, StoredRecords } from "./types.js";

/** Tabs of one browser that keep records at the same time. The ones beyond keep theirs until they are closed. */
const SLOTS = 8;
/** What the keys of snapshots begin with, which are read one by one. */
const SNAPSHOT = "snap/";
/** How long a tab that is loaded again waits for its own former self to let go of their slot. */
const RELOAD_MS = 1_000;

/**
 * Keeps records in the browser's local storage.
 *
 * A client id must not be used by two tabs at once, so each tab leases a slot for as long as it lives, and the next
 * tab to take the slot goes on with what was left unsent in it. Without Web Locks (pages that came over plain HTTP)
 * records live as long as their tab.
 */
export class LocalRecords implements StorageAdapter {
  #scope: string;
  #storage: Storage | undefined;
  #prefix = "";
  #letGo: (() => void) | undefined;
  #closed = false;

  /** @param scope tells servers apart. */
  constructor(scope: string) {
    this.#scope = `enfilade:${scope}`;
  }

  async load(): Promise<StoredRecords> {
    const slot = await this.#lease();
    this.#storage = slot === undefined ? sessionStorage : localStorage;
    this.#prefix = `${this.#scope}:${slot ?? "tab"}:`;
    return this.#keys().map((key) => {
      const name = key.slice(this.#prefix.length);
      return [
        name,
        name.startsWith(SNAPSHOT) ? new Uint8Array() : (this.read(name) ?? new Uint8Array()),
      ] as const;
    });
  }

  read(key: string): Uint8Array | null {
    const text = this.#storage?.getItem(this.#prefix + key) ?? null;
    return text === null ? null : decode(text);
  }

  write(changes: readonly StorageChange[]): void {
    for (const [key, value] of changes) {
      if (value) this.#storage?.setItem(this.#prefix + key, encode(value));
      else this.#storage?.removeItem(this.#prefix + key);
    }
  }

  close(): void {
    this.#closed = true;
    this.#letGo?.();
  }

  #keys(): string[] {
    const storage = this.#storage;
    if (!storage) return [];
    const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "");
    return keys.filter((key) => key.startsWith(this.#prefix));
  }

  /** The number of a slot that nobody else has. */
  async #lease(): Promise<number | undefined> {
    if (typeof navigator === "undefined" || !navigator.locks) return undefined;
    const remember = `${this.#scope}:slot`;
    const mine = Number(sessionStorage.getItem(remember) ?? Number.NaN);
    const order = Array.from({ length: SLOTS }, (_, slot) => slot).filter((slot) => slot !== mine);
    if (Number.isInteger(mine) && (await this.#lock(mine, { signal: AbortSignal.timeout(RELOAD_MS) })))
      return mine;
    for (const slot of order) {
      if (await this.#lock(slot, { ifAvailable: true })) {
        sessionStorage.setItem(remember, String(slot));
        return slot;
      }
    }
    return undefined;
  }

  #lock(slot: number, options: LockOptions): Promise<boolean> {
    return new Promise((resolve) => {
      const held = (lock: Lock | null) => {
        resolve(lock !== null && !this.#closed);
        if (!lock || this.#closed) return undefined;
        return new Promise<void>((letGo) => {
          this.#letGo = letGo;
        });
      };
      navigator.locks.request(`${this.#scope}:${slot}`, options, held).catch(() => resolve(false));
    });
  }
}

/** Carries records to an adapter, one call after the other, and tells once when that fails. */
export class Records {
  #adapter: StorageAdapter | null;
  #failed: (error: EnfiladeError) => void;
  #waiting: StorageChange[] = [];
  /** What the adapter is writing. */
  #batch: StorageChange[] = [];
  /** Snapshots that the adapter can't read one by one. */
  #snapshots = new Map<string, Uint8Array>();
  #loaded = false;
  #writing = false;
  #broken = false;

  constructor(adapter: StorageAdapter | null, failed: (error: EnfiladeError) => void) {
    this.#adapter = adapter;
    this.#failed = failed;
  }

  /** Everything that is kept; nothing when it can't be read. */
  async load(): Promise<readonly (readonly [string, Uint8Array])[]> {
    try {
      const records = this.#adapter ? [...(await this.#adapter.load())] : [];
      this.#loaded = true;
      this.write([]);
      if (this.#adapter?.read) return records;
      for (const [key, value] of records) this.#keep(key, value);
      return records.map(
        ([key, value]) => [key, key.startsWith(SNAPSHOT) ? new Uint8Array() : value] as const,
      );
    } catch (cause) {
      this.#fail(cause);
      return [];
    }
  }

  write(changes: readonly StorageChange[]): void {
    if (!this.#adapter?.read) for (const [key, value] of changes) this.#keep(key, value);
    if (!this.#adapter || this.#broken) return;
    this.#waiting.push(...changes);
    if (this.#loaded && !this.#writing) this.#next();
  }

  /** A record as it was written last; `null` when there is none, or it can't be read. */
  read(key: string): Uint8Array | null | Promise<Uint8Array | null> {
    const unwritten = [...this.#batch, ...this.#waiting].reverse().find(([name]) => name === key);
    if (unwritten) return unwritten[1];
    if (!this.#adapter?.read) return this.#snapshots.get(key) ?? null;
    try {
      return this.#adapter.read(key);
    } catch {
      return null;
    }
  }

  close(): void {
    call(() => this.#adapter?.close?.());
    this.#adapter = null;
  }

  /** An adapter that answers at once is done at once: what was written before the page goes away is there. */
  #next(): void {
    while (this.#adapter && this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      this.#batch = batch;
      try {
        const done = this.#adapter.write(batch);
        if (!done) {
          this.#batch = [];
          continue;
        }
        this.#writing = true;
        done.then(
          () => {
            this.#writing = false;
            this.#batch = [];
            this.#next();
          },
          (cause: unknown) => this.#fail(cause),
        );
        return;
      } catch (cause) {
        this.#fail(cause);
      }
    }
  }

  #keep(key: string, value: Uint8Array | null): void {
    if (!key.startsWith(SNAPSHOT)) return;
    if (value) this.#snapshots.set(key, value);
    else this.#snapshots.delete(key);
  }

  #fail(cause: unknown): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#batch = [];
    this.#waiting = [];
    const reason = `Records can't be kept: ${cause instanceof Error ? cause.message : String(cause)}`;
    this.#failed(errorNamed("storage_failed", { reason, cause }));
  }
}

/** Local storage holds text of 16-bit units; one byte in each is plain, and a third smaller than Base64. */
function encode(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 8_192) {
    text += String.fromCharCode(...bytes.subarray(start, start + 8_192));
  }
  return text;
}

function decode(text: string): Uint8Array {
  return Uint8Array.from(text, (unit) => unit.charCodeAt(0));
}
