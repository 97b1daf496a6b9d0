import type { MessageRow } from "enfilade";
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** This close to the end counts as being there. */
const END_PX = 40;
/** This close to the beginning, older messages are fetched. */
const START_PX = 240;
/** What was read last stays in sight above the line. */
const UNREAD_PX = 72;

/** Where each room was left: a message, and how far its top stood below the window's; none for the end. */
const places = new Map<string, { message: string; top: number }>();

/**
 * Keeps a timeline where its reader is: at the end as long as they are there, else at the message they look at,
 * whatever is added above or below it.
 */
export function useTimelineScroll(roomId: string, messages: readonly MessageRow[], onStart: () => void) {
  const box = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(() => !places.has(roomId));
  const [fresh, setFresh] = useState(0);
  const state = useRef({ atEnd, place: places.get(roomId), last: undefined as MessageRow | undefined });

  const toEnd = useCallback(() => {
    const element = box.current;
    if (element) element.scrollTop = element.scrollHeight;
    state.current.atEnd = true;
    state.current.place = undefined;
    setAtEnd(true);
    setFresh(0);
  }, []);

  const keepPlace = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const { atEnd: stays, place } = state.current;
    if (stays) {
      element.scrollTop = element.scrollHeight;
      return;
    }
    const target = place && element.querySelector(`[data-message="${CSS.escape(place.message)}"]`);
    if (!target) return;
    const moved = target.getBoundingClientRect().top - element.getBoundingClientRect().top - place.top;
    if (Math.abs(moved) > 0.5) element.scrollTop += moved;
  }, []);

  useLayoutEffect(() => {
    const { last, atEnd: stays } = state.current;
    const newest = messages.at(-1);
    state.current.last = newest;
    if (newest && last && newest.id !== last.id) {
      const from = messages.findIndex((message) => message.id === last.id);
      const added = from === -1 ? [] : messages.slice(from + 1);
      if (added.some((message) => message.mine && message.status !== "sent")) {
        toEnd();
        return;
      }
      if (!stays) setFresh((count) => count + added.filter((message) => !message.mine).length);
    }
    keepPlace();
  }, [messages, keepPlace, toEnd]);

  // A composer that grows, a keyboard that rises, a font that arrives: the place stays.
  useEffect(() => {
    const element = box.current;
    const content = element?.firstElementChild;
    if (!element || !content) return undefined;
    const observer = new ResizeObserver(keepPlace);
    observer.observe(element);
    observer.observe(content);
    return () => observer.disconnect();
  }, [keepPlace]);

  useEffect(
    () => () => {
      const { atEnd: left, place } = state.current;
      if (left || !place) places.delete(roomId);
      else places.set(roomId, place);
    },
    [roomId],
  );

  /** Goes to the line before what was not read, where it lies above what is seen. */
  const toUnread = useCallback(() => {
    const element = box.current;
    const line = element?.querySelector(".unread-line");
    if (!element || !line) return;
    const top = line.getBoundingClientRect().top - element.getBoundingClientRect().top;
    if (top < 0) element.scrollTop += top - UNREAD_PX;
  }, []);

  const onScroll = useCallback(() => {
    const element = box.current;
    if (!element) return;
    const left = element.scrollHeight - element.scrollTop - element.clientHeight;
    const ends = left <= END_PX;
    state.current.atEnd = ends;
    state.current.place = ends ? undefined : placeIn(element);
    setAtEnd(ends);
    if (ends) setFresh(0);
    if (element.scrollTop < START_PX) onStart();
  }, [onStart]);

  return { box, onScroll, atEnd, fresh, toEnd, toUnread };
}

/** The first message that is seen whole. */
function placeIn(element: HTMLElement): { message: string; top: number } | undefined {
  const top = element.getBoundingClientRect().top;
  for (const candidate of element.querySelectorAll<HTMLElement>("[data-message]")) {
    const offset = candidate.getBoundingClientRect().top - top;
    if (offset >= 0) return { message: candidate.dataset.message ?? "", top: offset };
  }
  return undefined;
}
