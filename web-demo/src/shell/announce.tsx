import { useSyncExternalStore } from "react";
import { createStore } from "../store";

const store = createStore({ text: "", turn: 0 });

/** Says it to screen readers, when they are done with what they say now. */
export function announce(text: string) {
  store.set({ text, turn: store.getSnapshot().turn + 1 });
}

/** The one live region. */
export function Announcer() {
  const { text, turn } = useSyncExternalStore(store.subscribe, store.getSnapshot);
  return (
    <div className="visually-hidden" role="status" aria-live="polite">
      {/* The same words twice are news twice. */}
      <span key={turn}>{text}</span>
    </div>
  );
}
