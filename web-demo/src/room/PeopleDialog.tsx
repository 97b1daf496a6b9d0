import type { MemberRow } from "enfilade";
import type { UseRoom } from "enfilade/react";
import { Avatar } from "../ui/Avatar";
import { Dialog } from "../ui/Dialog";

/** Who is here now, and who has joined. */
export function PeopleDialog({
  room,
  members,
  me,
  onClose,
  onLeave,
}: {
  room: UseRoom;
  members: readonly MemberRow[];
  me: string;
  onClose: () => void;
  onLeave: () => void;
}) {
  const here = new Set(room.users.map(({ id }) => id));
  const roles = new Map(members.map(({ id, role }) => [id, role]));
  const away = members.filter(({ id }) => !here.has(id));
  return (
    <Dialog title={`People in ${room.info?.name ?? "the room"}`} onClose={onClose}>
      <h3 className="people-title">
        Here now <span>{room.userCount}</span>
      </h3>
      <ul className="people">
        {room.users.map(({ id, name, liveness }) => (
          <Row key={id} id={id} name={name} me={me} note={note(roles.get(id), liveness)} />
        ))}
      </ul>
      {room.userCount > room.users.length && (
        <p className="aside">and {room.userCount - room.users.length} more</p>
      )}
      <h3 className="people-title">
        Members who are not here <span>{away.length}</span>
      </h3>
      <ul className="people away">
        {away.map(({ id, name, role }) => (
          <Row key={id} id={id} name={name} me={me} note={note(role, "live")} />
        ))}
      </ul>
      {room.joined && (
        <div className="form-end">
          <button
            type="button"
            className="button danger"
            onClick={() => {
              onLeave();
              onClose();
            }}
          >
            Leave the room
          </button>
        </div>
      )}
    </Dialog>
  );
}

function Row({ id, name, me, note: words }: { id: string; name: string; me: string; note: string }) {
  return (
    <li>
      <Avatar user={id} name={name} />
      <span>
        {name}
        {id === me && <span className="aside"> you</span>}
      </span>
      <span className="aside">{words}</span>
    </li>
  );
}

function note(role: MemberRow["role"] | undefined, liveness: string): string {
  if (liveness === "stale") return "connection unsure";
  if (role === "owner") return "owner";
  if (role === "moderator") return "moderator";
  return role === undefined ? "visitor" : "";
}
