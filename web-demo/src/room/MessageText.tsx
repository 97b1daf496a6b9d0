import type { ReactNode } from "react";
import { findMentions, type Person } from "./people";

const LINK = /https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]}'…]/g;

/** A text with its links and the names that it mentions. */
export function MessageText({
  text,
  mentions,
  people,
  me,
}: {
  text: string;
  mentions: readonly string[];
  people: readonly Person[];
  me: string;
}) {
  if (mentions.length === 0) return linked(text, 0);
  const spans = findMentions(
    text,
    people.filter(({ id }) => mentions.includes(id)),
  );
  const parts: ReactNode[] = [];
  let from = 0;
  for (const { start, end, id } of spans) {
    parts.push(...linked(text.slice(from, start), from));
    parts.push(
      <span key={`@${start}`} className={id === me ? "mention me" : "mention"}>
        {text.slice(start, end)}
      </span>,
    );
    from = end;
  }
  parts.push(...linked(text.slice(from), from));
  return parts;
}

function linked(text: string, offset: number): ReactNode[] {
  const parts: ReactNode[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    if (match.index > from) parts.push(text.slice(from, match.index));
    parts.push(
      <a key={offset + match.index} href={match[0]} target="_blank" rel="noreferrer noopener">
        {match[0]}
      </a>,
    );
    from = match.index + match[0].length;
  }
  if (from < text.length) parts.push(text.slice(from));
  return parts;
}
