import type { UseRoom } from "enfilade/react";
import { listHref } from "../router";
import { Doorways } from "../ui/Doorways";

/** Nothing is held of the room yet. */
export function RoomLoading() {
  return (
    <div className="room-state" aria-busy="true">
      <p className="visually-hidden" role="status">
        Opening the room
      </p>
      <div className="skeleton-messages" aria-hidden="true">
        {[46, 72, 30, 64, 52].map((width, at) => (
          <div key={width} className={at % 3 === 2 ? "skeleton-message mine" : "skeleton-message"}>
            <span style={{ width: `${width}%` }} />
          </div>
        ))}
      </div>
    </div>
  );
}

/** The room is there, and nobody has said anything. */
export function RoomQuiet({ room }: { room: UseRoom }) {
  return (
    <div className="room-state">
      <Doorways />
      <h2>It is quiet in here</h2>
      <p>{room.info?.topic || "Nobody has written anything yet. The first message is yours."}</p>
    </div>
  );
}

const FAILED: Record<string, { title: string; text: string }> = {
  unknown_room: {
    title: "There is no such room",
    text: "The address may be mistyped, or the room was never made on this server.",
  },
  forbidden: {
    title: "This room is private",
    text: "Only its members may read it. Somebody inside can tell you more.",
  },
  invalid_room_id: {
    title: "That is not the address of a room",
    text: "A room’s id is 1 to 64 letters, digits and the characters - _ . :",
  },
  too_many_rooms: {
    title: "Too many rooms are open",
    text: "This window holds as many live rooms as it may. Close some, and come back.",
  },
};

/** The server refused the room. */
export function RoomFailed({ room }: { room: UseRoom }) {
  const { error } = room;
  const words = error && FAILED[error.codeName];
  return (
    <div className="room-state" role="alert">
      <Doorways />
      <h2>{words?.title ?? "The room can’t be opened"}</h2>
      <p>{words?.text ?? error?.text}</p>
      {error && (
        <code className="code">
          {error.code} {error.codeName}
        </code>
      )}
      <a className="button primary" href={listHref}>
        Back to the rooms
      </a>
    </div>
  );
}
