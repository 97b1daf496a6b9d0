import { describe, expect, it } from "vitest";
import { findMentions, matchingPeople, mentionBeingTyped, type Person, peopleOf } from "./people";

const person = (id: string, name: string): Person => ({ id, name, here: false });
const ada = person("1", "Ada");
const byron = person("2", "Ada Byron");
const soren = person("3", "Søren");

describe("mentions", () => {
  it("takes the longest name that fits", () => {
    expect(findMentions("hello @Ada Byron", [ada, byron])).toEqual([{ start: 6, end: 16, id: "2" }]);
    expect(findMentions("hello @ada.", [ada, byron])).toEqual([{ start: 6, end: 10, id: "1" }]);
  });

  it("finds nobody in an address or in a longer word", () => {
    expect(findMentions("write to x@ada", [ada])).toEqual([]);
    expect(findMentions("@Adamant", [ada])).toEqual([]);
    expect(findMentions("no one", [ada])).toEqual([]);
  });

  it("finds each of several", () => {
    expect(findMentions("@Søren and @Ada", [ada, soren]).map(({ id }) => id)).toEqual(["3", "1"]);
  });

  it("knows what is being typed before the caret", () => {
    expect(mentionBeingTyped("hello @ad", 9)).toEqual({ start: 6, query: "ad" });
    expect(mentionBeingTyped("hello @Ada By", 13)).toEqual({ start: 6, query: "Ada By" });
    expect(mentionBeingTyped("@", 1)).toEqual({ start: 0, query: "" });
    expect(mentionBeingTyped("x@ad", 4)).toBeNull();
    expect(mentionBeingTyped("hello @ad", 3)).toBeNull();
  });

  it("offers names of which a word begins so", () => {
    expect(matchingPeople([ada, byron, soren], "by", 5)).toEqual([byron]);
    expect(matchingPeople([ada, byron, soren], "", 2)).toEqual([ada, byron]);
    expect(matchingPeople([ada, byron, soren], "ada byron", 5)).toEqual([]);
    expect(matchingPeople([ada, byron, soren], "ada", 5)).toEqual([ada, byron]);
  });
});

it("lists everybody once, those who are here first", () => {
  const people = peopleOf(
    [
      { id: "1", name: "Ada", liveness: "live" },
      { id: "9", name: "Gone", liveness: "offline" },
    ],
    [{ id: "1", name: "Old name", role: "owner", joinedAt: 0, badges: [], color: "" }],
    [
      {
        id: "m",
        author: "3",
        authorName: "Søren",
        at: 0,
        text: "",
        mentions: [],
        status: "sent",
        mine: false,
        cancellable: false,
        edited: false,
        deleted: false,
        pinned: false,
        changing: false,
        reactions: [],
      },
    ],
  );
  expect(people).toEqual([{ ...ada, here: true }, soren]);
});
