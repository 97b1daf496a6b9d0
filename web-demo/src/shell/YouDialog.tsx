import { useConnection } from "enfilade/react";
import { useState, useSyncExternalStore } from "react";
import { session } from "../session";
import { type Theme, theme } from "../theme";
import { Avatar } from "../ui/Avatar";
import { Dialog } from "../ui/Dialog";

const THEMES: readonly { value: Theme; name: string }[] = [
  { value: "system", name: "As the device" },
  { value: "light", name: "Light" },
  { value: "dark", name: "Dark" },
];

/** Who you are here, how it looks, and the way out. */
export function YouDialog({
  onClose,
  onShortcuts,
  onInternals,
}: {
  onClose: () => void;
  onShortcuts: () => void;
  onInternals: () => void;
}) {
  const { user } = useConnection();
  const chosen = useSyncExternalStore(theme.subscribe, theme.getSnapshot);
  const [leaving, setLeaving] = useState(false);
  const state = session.getSnapshot();
  const identity = state.stage === "open" ? state.identity : null;
  const id = user?.id ?? identity?.userId ?? "";
  const name = user?.name ?? identity?.name ?? "";

  return (
    <Dialog title="You" onClose={onClose}>
      <div className="you">
        <Avatar user={id} name={name} size="l" />
        <p>
          <strong>{name}</strong>
          <span className="aside">Guest {id}</span>
        </p>
      </div>
      <fieldset className="segments">
        <legend>Appearance</legend>
        <div>
          {THEMES.map(({ value, name: label }) => (
            <label key={value}>
              <input
                type="radio"
                name="theme"
                checked={chosen === value}
                onChange={() => theme.choose(value)}
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
      </fieldset>
      <div className="dialog-rows">
        <button type="button" className="button" onClick={onInternals}>
          Room internals
        </button>
        <button type="button" className="button" onClick={onShortcuts}>
          Keyboard shortcuts
        </button>
        {leaving ? (
          <div className="confirm">
            <p>
              You go as a new guest: what is still waiting to be sent is dropped, and this browser forgets the
              rooms.
            </p>
            <button type="button" className="button danger" onClick={session.signOut}>
              Sign out
            </button>
            <button type="button" className="button" onClick={() => setLeaving(false)}>
              Stay
            </button>
          </div>
        ) : (
          <button type="button" className="button" onClick={() => setLeaving(true)}>
            Change name or sign out
          </button>
        )}
      </div>
    </Dialog>
  );
}
