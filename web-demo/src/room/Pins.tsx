import { useEnfilade } from "enfilade/react";
import { useSyncExternalStore } from "react";
import { useCommands } from "./commands";

/** What is pinned in a room, folded away. */
export function Pins({ id }: { id: string }) {
  const { pins } = useEnfilade().room(id);
  const rows = useSyncExternalStore(pins.subscribe, pins.getSnapshot);
  const { moderates, pin } = useCommands();
  if (rows.length === 0) return null;
  return (
    <details className="pins">
      <summary>
        {rows.length} pinned {rows.length === 1 ? "message" : "messages"}
      </summary>
      <ul>
        {rows.map((row) => (
          <li key={row.id}>
            <span className="pin-text">
              {row.authorName && <b>{row.authorName}: </b>}
              {row.text || "A message from further back"}
            </span>
            {moderates && (
              <button type="button" className="link-button" onClick={() => pin(row.id, false)}>
                Unpin<span className="visually-hidden">: {row.text.slice(0, 40)}</span>
              </button>
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}
