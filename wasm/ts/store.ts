import type { Readable } from "./types.js";

/** A view, for those who only know that it has changed. */
export interface Changeable {
  invalidate(): void;
  notify(): void;
}

/**
 * A value that is pulled out of the core when somebody looks, and only after it may have changed.
 *
 * `pull` gets the value before, and returns it where nothing has changed.
 */
export class Pulled<T> implements Readable<T>, Changeable {
  #pull: (before: T) => T;
  #value: T;
  #stale = true;
  #listeners = new Set<() => void>();
  #watched: ((watched: boolean) => void) | undefined;

  /** @param watched is told when the first listener comes and when the last one goes. */
  constructor(initial: T, pull: (before: T) => T, watched?: (watched: boolean) => void) {
    this.#value = initial;
    this.#pull = pull;
    this.#watched = watched;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    // The same function may subscribe twice: each has its own end.
    const entry = () => listener();
    this.#listeners.add(entry);
    if (this.#listeners.size === 1) this.#watched?.(true);
    return () => {
      if (this.#listeners.delete(entry) && this.#listeners.size === 0) this.#watched?.(false);
    };
  };

  readonly getSnapshot = (): T => {
    if (this.#stale) {
      this.#stale = false;
      this.#value = this.#pull(this.#value);
    }
    return this.#value;
  };

  /** Has the value pulled again when somebody looks. */
  invalidate(): void {
    this.#stale = true;
  }

  /** Tells the listeners. One that throws does not keep the others from hearing. */
  notify(): void {
    for (const listener of [...this.#listeners]) call(listener);
  }
}

/** Calls what belongs to the app; an error in it is reported, and ours goes on. */
export function call<A extends unknown[]>(callback: (...args: A) => void, ...args: A): void {
  try {
    callback(...args);
  } catch (error) {
    reportError(error);
  }
}

/** `next`, made of the parts of `before` that are equal; `before` itself where all are. */
export function share<T>(before: T, next: T): T {
  if (Object.is(before, next)) return before;
  if (Array.isArray(before) && Array.isArray(next)) return shareList(before, next) as T;
  if (isRecord(before) && isRecord(next)) return shareRecord(before, next) as T;
  return next;
}

function shareList(before: readonly unknown[], next: readonly unknown[]): readonly unknown[] {
  const shared = next.map((item, index) => share(before[index], item));
  return before.length === next.length && shared.every((item, index) => item === before[index])
    ? before
    : shared;
}

function shareRecord(
  before: Record<string, unknown>,
  next: Record<string, unknown>,
): Record<string, unknown> {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(before).length;
  const shared: Record<string, unknown> = {};
  for (const key of keys) {
    shared[key] = share(before[key], next[key]);
    same &&= shared[key] === before[key] && key in before;
  }
  return same ? before : shared;
}

/** As {@link share}, for rows that have an id: a row is compared with the one of its id, wherever it stood. */
export function shareRows<Row extends { readonly id: string }>(
  before: readonly Row[],
  next: readonly Row[],
): readonly Row[] {
  const known = new Map(before.map((row) => [row.id, row]));
  const shared = next.map((row) => {
    const old = known.get(row.id);
    return old ? share(old, row) : row;
  });
  return before.length === next.length && shared.every((row, index) => row === before[index])
    ? before
    : shared;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
