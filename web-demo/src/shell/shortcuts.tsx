import { useEffect, useRef } from "react";
import { Dialog } from "../ui/Dialog";

interface Actions {
  internals: () => void;
  create: () => void;
  help: () => void;
  step: (by: 1 | -1) => void;
}

const SHORTCUTS: readonly { keys: readonly string[]; what: string }[] = [
  { keys: ["Alt", "↓"], what: "Next room" },
  { keys: ["Alt", "↑"], what: "Previous room" },
  { keys: ["Ctrl", "K"], what: "Find a room" },
  { keys: ["Alt", "N"], what: "New room" },
  { keys: ["Alt", "M"], what: "Message field" },
  { keys: ["Alt", "I"], what: "Room internals" },
  { keys: ["Alt", "H"], what: "This list" },
  { keys: ["↑", "↓"], what: "Walk through the list of rooms, Enter opens" },
  { keys: ["Enter"], what: "Send; Shift and Enter for a new line" },
  { keys: ["@"], what: "Mention somebody; Tab or Enter takes the name" },
  { keys: ["Esc"], what: "Close what is open" },
];

/** Each has a modifier, so that nothing fires while somebody types. By the key's place, because Alt types letters on a Mac. */
export function useShortcuts(actions: Actions) {
  const current = useRef(actions);
  useEffect(() => {
    current.current = actions;
  });
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (document.querySelector("dialog[open]")) return;
      const action = actionOf(event, current.current);
      if (!action) return;
      event.preventDefault();
      action();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}

function actionOf(event: KeyboardEvent, actions: Actions): (() => void) | undefined {
  if (event.shiftKey) return undefined;
  if ((event.ctrlKey || event.metaKey) && !event.altKey)
    return event.code === "KeyK" ? focusSearch : undefined;
  if (!event.altKey || event.ctrlKey || event.metaKey) return undefined;
  switch (event.code) {
    case "ArrowDown":
      return () => actions.step(1);
    case "ArrowUp":
      return () => actions.step(-1);
    case "KeyN":
      return actions.create;
    case "KeyI":
      return actions.internals;
    case "KeyH":
      return actions.help;
    case "KeyM":
      return focusComposer;
    default:
      return undefined;
  }
}

export function focusSearch() {
  focus("#room-search");
}

export function focusRoomList() {
  focus('.room-list a[tabindex="0"]');
}

export function focusComposer() {
  focus("#composer");
}

function focus(selector: string) {
  document.querySelector<HTMLElement>(selector)?.focus();
}

export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className="shortcuts">
        {SHORTCUTS.map(({ keys, what }) => (
          <div key={what}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
