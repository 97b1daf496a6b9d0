import type { UseRoom } from "enfilade/react";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";

/**
 * Follows what was read. Returns the ordinal after which a line says "new", and marks the room read whenever its end
 * is looked at.
 */
export function useReading(room: UseRoom, atEnd: boolean): { readUpTo: number | null; forget: () => void } {
  const looking = useLooking();
  const [readUpTo, setReadUpTo] = useState<number | null>(null);
  const opened = useRef(false);
  const { synced, head, unread, markRead } = room;

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

  useEffect(() => {
    if (looking && atEnd && unread > 0 && synced === "ready") markRead();
  }, [looking, atEnd, unread, synced, markRead]);

  return { readUpTo, forget: () => setReadUpTo(null) };
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
