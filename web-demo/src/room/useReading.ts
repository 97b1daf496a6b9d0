import type { UseRoom } from "enfilade/react";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

/** The line before what was not read when the room was opened, or when one looked away. */
export interface Reading {
  /** The ordinal after which the line stands; none, no line. */
  readUpTo: number | null;
  looking: boolean;
  /** One has answered: nothing is new any more. */
  forget: () => void;
}

/** Follows what was read, for as long as the room is open; what is held of its messages may change meanwhile. */
export function useReading({ synced, head, unread }: UseRoom): Reading {
  const looking = useLooking();
  const [readUpTo, setReadUpTo] = useState<number | null>(null);
  const opened = useRef(false);

  useEffect(() => {
    if (opened.current || synced !== "ready") return;
    opened.current = true;
    if (unread > 0) setReadUpTo(head - unread);
  }, [synced, head, unread]);

  // What comes while somebody looks elsewhere is new when they look again.
  const latest = useRef({ head, unread });
  latest.current = { head, unread };
  useEffect(() => {
    if (looking || !opened.current) return;
    const { head: now, unread: waiting } = latest.current;
    if (waiting === 0) setReadUpTo(now);
  }, [looking]);

  const forget = useCallback(() => setReadUpTo(null), []);
  return useMemo(() => ({ readUpTo, looking, forget }), [readUpTo, looking, forget]);
}

/** Whether the page is in front of somebody. */
function useLooking(): boolean {
  return useSyncExternalStore(subscribe, () => document.visibilityState === "visible" && document.hasFocus());
}

function subscribe(listener: () => void): () => void {
  document.addEventListener("visibilitychange", listener);
  window.addEventListener("focus", listener);
  window.addEventListener("blur", listener);
  return () => {
    document.removeEventListener("visibilitychange", listener);
    window.removeEventListener("focus", listener);
    window.removeEventListener("blur", listener);
  };
}
