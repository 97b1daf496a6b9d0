/** A value that components read through `useSyncExternalStore`. */
export interface Store<T> {
  subscribe: (listener: () => void) => () => void;
  getSnapshot: () => T;
  set: (next: T) => void;
}

export function createStore<T>(initial: T): Store<T> {
  const listeners = new Set<() => void>();
  let value = initial;
  return {
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    getSnapshot: () => value,
    set: (next) => {
      if (Object.is(next, value)) return;
      value = next;
      for (const listener of [...listeners]) listener();
    },
  };
}

/** What the browser keeps for this page. A browser that keeps nothing (private windows) is not an error. */
export const kept = {
  read: (key: string): string | null => {
    try {
      return localStorage.getItem(`enfilade.demo.${key}`);
    } catch {
      return null;
    }
  },
  write: (key: string, value: string | null) => {
    try {
      if (value === null) localStorage.removeItem(`enfilade.demo.${key}`);
      else localStorage.setItem(`enfilade.demo.${key}`, value);
    } catch {
      // The page works without; only the next visit starts anew.
    }
  },
};
