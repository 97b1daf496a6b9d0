import { Doorways } from "../ui/Doorways";

export function NoRoom({ onCreate }: { onCreate: () => void }) {
  return (
    <main className="room no-room">
      <div className="room-state">
        <Doorways />
        <h1>Choose a door</h1>
        <p>The room you open is live. The one you leave stays close for a while.</p>
        <button type="button" className="button" onClick={onCreate}>
          Make a new room
        </button>
      </div>
    </main>
  );
}
