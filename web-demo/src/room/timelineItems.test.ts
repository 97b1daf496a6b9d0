import type { MessageRow } from "enfilade";
import { expect, it } from "vitest";
import { timelineItems } from "./timelineItems";

const NOON = new Date(2026, 4, 12, 12).getTime();
const MINUTE = 60_000;

function message(ordinal: number, author: string, at: number): MessageRow {
  const mine = author === "me";
  const text = `message ${ordinal}`;
  return {
    id: `1:${ordinal}`,
    author,
    authorName: author,
    at,
    text,
    mentions: [],
    ordinal,
    status: "sent",
    mine,
    cancellable: false,
    edited: false,
    deleted: false,
    pinned: false,
    changing: false,
    reactions: [],
  };
}

function shape(messages: readonly MessageRow[], readUpTo: number | null) {
  return timelineItems(messages, readUpTo).map((item) =>
    item.kind === "group" ? item.messages.map(({ ordinal }) => ordinal) : item.kind,
  );
}

it("puts what one person says in one go under one name", () => {
  const messages = [
    message(1, "ada", NOON),
    message(2, "ada", NOON + MINUTE),
    message(3, "bob", NOON + MINUTE),
    message(4, "bob", NOON + 20 * MINUTE),
  ];
  expect(shape(messages, null)).toEqual(["day", [1, 2], [3], [4]]);
});

it("begins each day with its name", () => {
  const messages = [message(1, "ada", NOON), message(2, "ada", NOON + 24 * 60 * MINUTE)];
  expect(shape(messages, null)).toEqual(["day", [1], "day", [2]]);
});

it("draws the line before the first message of somebody else that was not read", () => {
  const messages = [
    message(1, "ada", NOON),
    message(2, "me", NOON + 1),
    message(3, "ada", NOON + 2),
    message(4, "ada", NOON + 3),
  ];
  expect(shape(messages, 1)).toEqual(["day", [1], [2], "unread", [3, 4]]);
  expect(shape(messages, 3)).toEqual(["day", [1], [2], [3], "unread", [4]]);
  expect(shape(messages, 4)).toEqual(["day", [1], [2], [3, 4]]);
});
