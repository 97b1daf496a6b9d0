import { useCallback, useEffect, useMemo, useSyncExternalStore } from "react";
import { NONE, NOT_CONNECTED, unknownRoom } from "../empty.js";
import type {
  ConnectionSnapshot,
  MessageRow,
  NotificationRow,
  Room,
  RoomRow,
  RoomSnapshot,
} from "../types.js";
import { useEnfilade } from "./context.js";

/** How a component uses a room. */
export interface UseRoomOptions {
  /** Whether the room is Active while the component is mounted; `true` unless given. */
  readonly active?: boolean;
}

/** A room, its messages, and what can be done in it. Methods keep their identity for the same room. */
export interface UseRoom
  extends RoomSnapshot,
    Pick<
      Room,
      | "post"
      | "cancel"
      | "edit"
      | "delete"
      | "react"
      | "pin"
      | "fillGap"
      | "markRead"
      | "loadOlder"
      | "setDraft"
      | "join"
      | "leave"
      | "setTier"
    > {
  /** Oldest first; those that are not sent yet stand at the end. */
  readonly messages: readonly MessageRow[];
}

/** Shows a room, and holds it Active while the component is mounted. */
export function useRoom(id: string, { active = true }: UseRoomOptions = {}): UseRoom {
  const room = useEnfilade().room(id);
  const unknown = useMemo(() => unknownRoom(id), [id]);
  const view = useSyncExternalStore(
    room.view.subscribe,
    room.view.getSnapshot,
    useCallback(() => unknown, [unknown]),
  );
  const messages = useSyncExternalStore(room.messages.subscribe, room.messages.getSnapshot, nothing);
  useEffect(() => (active ? room.acquire() : undefined), [room, active]);
  return useMemo(() => {
    const { post, cancel, edit, react, pin, fillGap, markRead, loadOlder, setDraft } = room;
    const { join, leave, setTier } = room;
    const commands = { post, cancel, edit, delete: room.delete, react, pin, fillGap, markRead, loadOlder };
    return { ...view, messages, ...commands, setDraft, join, leave, setTier };
  }, [room, view, messages]);
}

/** All rooms that are listed or held, the one with the newest activity first. */
export function useRooms(): readonly RoomRow[] {
  const { rooms } = useEnfilade();
  return useSyncExternalStore(rooms.subscribe, rooms.getSnapshot, nothing);
}

/** How the connection is doing. */
export function useConnection(): ConnectionSnapshot {
  const { connection } = useEnfilade();
  return useSyncExternalStore(connection.subscribe, connection.getSnapshot, notConnected);
}

/** Mentions of the user, newest first. */
export function useNotifications(): readonly NotificationRow[] {
  const { notifications } = useEnfilade();
  return useSyncExternalStore(notifications.subscribe, notifications.getSnapshot, nothing);
}

function nothing(): readonly never[] {
  return NONE;
}

function notConnected(): ConnectionSnapshot {
  return NOT_CONNECTED;
}
