import type { MemberRow, MessageRow, PresentUser } from "enfilade";

/** Somebody whose name may be written with an @. */
export interface Person {
  id: string;
  name: string;
  here: boolean;
}

/** Everybody whom the room knows, those who are here first; one entry a user. */
export function peopleOf(
  users: readonly PresentUser[],
  members: readonly MemberRow[],
  messages: readonly MessageRow[],
): readonly Person[] {
  const people = new Map<string, Person>();
  for (const { id, name, liveness } of users) {
    if (liveness !== "offline") people.set(id, { id, name, here: true });
  }
  for (const { id, name } of members) if (!people.has(id)) people.set(id, { id, name, here: false });
  for (const { author, authorName } of messages) {
    if (!people.has(author)) people.set(author, { id: author, name: authorName, here: false });
  }
  return [...people.values()];
}

/** A stretch of a text that names a person. */
export interface MentionSpan {
  start: number;
  end: number;
  id: string;
}

/** Finds `@Name` for each of these people, the longest name first, so that `@Ada Byron` is not `@Ada`. */
export function findMentions(text: string, people: readonly Person[]): readonly MentionSpan[] {
  if (!text.includes("@")) return [];
  const lower = text.toLowerCase();
  const names = people
    .filter(({ name }) => name !== "")
    .map(({ id, name }) => ({ id, name: name.toLowerCase() }))
    .sort((a, b) => b.name.length - a.name.length);
  const spans: MentionSpan[] = [];
  for (let at = lower.indexOf("@"); at !== -1; at = lower.indexOf("@", at + 1)) {
    if (at > 0 && /[\p{L}\p{N}]/u.test(text[at - 1] ?? "")) continue;
    const found = names.find(({ name }) => {
      const end = at + 1 + name.length;
      return lower.startsWith(name, at + 1) && !/[\p{L}\p{N}]/u.test(text[end] ?? "");
    });
    if (found) spans.push({ start: at, end: at + 1 + found.name.length, id: found.id });
  }
  return spans;
}

/** What is being typed after an @, right before the caret. */
export function mentionBeingTyped(text: string, caret: number): { start: number; query: string } | null {
  const match = /(?:^|[\s(])@([^\s@]{0,30}(?: [^\s@]{0,30})?)$/.exec(text.slice(0, caret));
  if (!match) return null;
  const query = match[1] ?? "";
  return { start: caret - query.length - 1, query };
}

/** A name fits when one of its words begins as the query does. Nothing is offered for a name that stands there whole. */
export function matchingPeople(people: readonly Person[], query: string, most: number): readonly Person[] {
  const wanted = query.toLowerCase();
  const fitting = people
    .filter(({ name }) => {
      const lower = name.toLowerCase();
      return lower.startsWith(wanted) || lower.split(/\s+/).some((word) => word.startsWith(wanted));
    })
    .slice(0, most);
  return fitting.length === 1 && fitting[0]?.name.toLowerCase() === wanted ? [] : fitting;
}
