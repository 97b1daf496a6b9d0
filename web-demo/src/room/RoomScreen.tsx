import type { ClientEvents, EnfiladeError, MemberRow } from "enfilade";
import { type UseRoom, useConnection, useEnfilade, useRoom } from "enfilade/react";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { session } from "../session";
import { PHONE } from "../shell/viewport";
import { Composer } from "./Composer";
import { Commands, type MessageCommands } from "./commands";
import { PeopleDialog } from "./PeopleDialog";
import { Pins } from "./Pins";
import { type Person, peopleOf } from "./people";
import { RoomHeader } from "./RoomHeader";
import { RoomFailed, RoomLoading, RoomQuiet } from "./RoomStates";
import { Timeline } from "./Timeline";
import { type Reading, useReading } from "./useReading";

/** One room: opening it makes it Active, leaving it lets it go. */
export function RoomScreen({
  id,
  internals,
  onInternals,
}: {
  id: string;
  internals: boolean;
  onInternals: () => void;
}) {
  const room = useRoom(id);
  const me = useMe();
  const members = useMembers(id);
  const people = usePeople(room, members);
  const reading = useReading(room);
  const [listing, setListing] = useState(false);
  const { refusals, dismiss, refuse } = useRefusals(id);
  const heading = useRef<HTMLHeadingElement>(null);

  // Where the keyboard is at hand one wants to write; on a phone it would cover what one came to read.
  useEffect(() => {
    if (window.matchMedia(PHONE).matches) heading.current?.focus();
    else document.querySelector<HTMLElement>("#composer")?.focus();
  }, []);

  const attempt = useCallback(
    (action: () => void) => {
      try {
        action();
      } catch (error) {
        refuse(error);
      }
    },
    [refuse],
  );
  const commands = useCommandsOf(room, members, me, attempt);

  return (
    <main className="room">
      <RoomHeader
        ref={heading}
        room={room}
        internals={internals}
        onInternals={onInternals}
        onPeople={() => setListing(true)}
        onJoin={() => attempt(room.join)}
        onLeave={() => attempt(room.leave)}
      />
      <Commands value={commands}>
        <Pins id={id} />
        <RoomBody room={room} reading={reading} people={people} me={me} />
      </Commands>
      {room.synced !== "failed" && (
        <Composer
          room={room}
          people={people}
          me={me}
          refusals={refusals}
          onDismiss={dismiss}
          onRefused={refuse}
        />
      )}
      {listing && (
        <PeopleDialog
          room={room}
          members={members}
          me={me}
          onClose={() => setListing(false)}
          onLeave={() => attempt(room.leave)}
        />
      )}
    </main>
  );
}

function RoomBody({
  room,
  reading,
  people,
  me,
}: {
  room: UseRoom;
  reading: Reading;
  people: readonly Person[];
  me: string;
}) {
  if (room.synced === "failed") return <RoomFailed room={room} />;
  if (room.messages.length > 0) return <Timeline room={room} reading={reading} people={people} me={me} />;
  if (room.synced === "ready" || room.info) return <RoomQuiet room={room} />;
  return <RoomLoading />;
}

/** An operation that was refused, here or by the server. */
export interface Refusal {
  key: string;
  error: EnfiladeError;
  text?: string;
}

function useRefusals(id: string) {
  const client = useEnfilade();
  const [refusals, setRefusals] = useState<readonly Refusal[]>([]);
  const add = useCallback((next: Refusal) => setRefusals((all) => [...all.slice(-2), next]), []);
  useEffect(
    () =>
      client.on("rejected", ({ roomId, opId, error, text }: ClientEvents["rejected"]) => {
        if (roomId === id) add({ key: opId, error, ...(text === undefined ? {} : { text }) });
      }),
    [client, id, add],
  );
  const dismiss = useCallback(
    (key: string) => setRefusals((all) => all.filter((one) => one.key !== key)),
    [],
  );
  const refuse = useCallback(
    (error: unknown, text?: string) => {
      if (!(error instanceof Error)) throw error;
      add({
        key: `here ${Date.now()}`,
        error: error as EnfiladeError,
        ...(text === undefined ? {} : { text }),
      });
    },
    [add],
  );
  return { refusals, dismiss, refuse };
}

/** Stays the same while membership does, so that no message is rendered for it. */
function useCommandsOf(
  { edit, delete: remove, react, pin, joined }: UseRoom,
  members: readonly MemberRow[],
  me: string,
  attempt: (action: () => void) => void,
): MessageCommands {
  const role = members.find(({ id }) => id === me)?.role ?? "member";
  return useMemo(
    () => ({
      moderates: role !== "member",
      joined,
      edit: (id, text, mentions) => attempt(() => edit(id, text, { mentions })),
      remove: (id) => attempt(() => remove(id)),
      react: (id, reaction, on) => attempt(() => react(id, reaction, on)),
      pin: (id, on) => attempt(() => pin(id, on)),
    }),
    [edit, remove, react, pin, joined, role, attempt],
  );
}

function useMe(): string {
  const { user } = useConnection();
  const state = session.getSnapshot();
  return user?.id ?? (state.stage === "open" ? state.identity.userId : "");
}

function useMembers(id: string): readonly MemberRow[] {
  const { members } = useEnfilade().room(id);
  return useSyncExternalStore(members.subscribe, members.getSnapshot);
}

/** Keeps its identity until somebody's name, presence or membership changes: every message depends on it. */
function usePeople(room: UseRoom, members: readonly MemberRow[]): readonly Person[] {
  const { users, messages } = room;
  const people = useMemo(() => peopleOf(users, members, messages), [users, members, messages]);
  const kept = useRef(people);
  if (!samePeople(kept.current, people)) kept.current = people;
  return kept.current;
}

function samePeople(a: readonly Person[], b: readonly Person[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, at) => {
      const other = b[at];
      return one.id === other?.id && one.name === other.name && one.here === other.here;
    })
  );
}
