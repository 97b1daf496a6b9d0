import { useSyncExternalStore } from "react";

/** The room in the address, or none: `#/rooms/ID`. A reload keeps it, and the browser's back button leaves it. */
export function useRoomInAddress(): string | null {
  return useSyncExternalStore(subscribe, () => parse(location.hash));
}

export function roomHref(id: string): string {
  return `#/rooms/${encodeURIComponent(id)}`;
}

export const listHref = "#/";

export function goTo(href: string) {
  location.hash = href;
}

function subscribe(listener: () => void): () => void {
  window.addEventListener("hashchange", listener);
  return () => window.removeEventListener("hashchange", listener);
}

function parse(hash: string): string | null {
  const id = /^#\/rooms\/([^/]+)$/.exec(hash)?.[1];
  if (id === undefined) return null;
  try {
    return decodeURIComponent(id);
  } catch {
    return null;
  }
}
