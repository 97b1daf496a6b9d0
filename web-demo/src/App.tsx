import { EnfiladeProvider } from "enfilade/react";
import { useSyncExternalStore } from "react";
import { NameScreen } from "./NameScreen";
import { session } from "./session";
import { Shell } from "./shell/Shell";
import { Doorways } from "./ui/Doorways";

/** The name screen, then the one shell. */
export function App() {
  const state = useSyncExternalStore(session.subscribe, session.getSnapshot);
  switch (state.stage) {
    case "signed-out":
      return <NameScreen notice={state.notice} busy={state.busy} />;
    case "opening":
      return (
        <main className="opening" aria-busy="true">
          <Doorways />
          <p role="status">Opening the doors…</p>
        </main>
      );
    case "broken":
      return (
        <main className="opening">
          <Doorways />
          <h1>Enfilade could not start</h1>
          <p role="alert">{state.reason}</p>
          <button type="button" className="button primary" onClick={() => location.reload()}>
            Load again
          </button>
        </main>
      );
    case "open":
      return (
        <EnfiladeProvider client={state.client}>
          <Shell key={state.identity.userId} />
        </EnfiladeProvider>
      );
  }
}
