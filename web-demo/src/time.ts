import { useSyncExternalStore } from "react";

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const clockWithSeconds = new Intl.DateTimeFormat(undefined, {
  hour: "numeric",
  minute: "2-digit",
  second: "2-digit",
});
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const dayOfYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function clockTime(at: number): string {
  return clock.format(at);
}

export function preciseTime(at: number): string {
  return clockWithSeconds.format(at);
}

export function fullTime(at: number): string {
  return full.format(at);
}

/** As short as a list wants it: `now`, `4 min`, `3 h`, `Tue`, `12 Mar`. */
export function shortAgo(at: number, now: number): string {
  const age = now - at;
  if (age < MINUTE) return "now";
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY && sameDay(at, now)) return `${Math.floor(age / HOUR)} h`;
  if (age < 6 * DAY) return weekday.format(at);
  return dayOfYear.format(at);
}

export function dayName(at: number, now: number): string {
  if (sameDay(at, now)) return "Today";
  if (sameDay(at, now - DAY)) return "Yesterday";
  return longDay.format(at);
}

export function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

/** One timer for all that shows an age. */
function ticker(interval: number) {
  const listeners = new Set<() => void>();
  let now = Date.now();
  let timer: ReturnType<typeof setInterval> | undefined;
  const tick = () => {
    now = Date.now();
    for (const listener of listeners) listener();
  };
  return {
    subscribe: (listener: () => void) => {
      listeners.add(listener);
      if (timer === undefined) {
        now = Date.now();
        timer = setInterval(tick, interval);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
      };
    },
    getSnapshot: () => now,
  };
}

const slow = ticker(20_000);
const fast = ticker(500);

/** The time, renewed often enough for ages in minutes. */
export function useNow(): number {
  return useSyncExternalStore(slow.subscribe, slow.getSnapshot);
}

/** The time, renewed often enough for a countdown in seconds. */
export function useSeconds(): number {
  return useSyncExternalStore(fast.subscribe, fast.getSnapshot);
}
