import { expect, it } from "vitest";
import { clientOptions } from "./settings";

it("takes times from the address, and nothing else", () => {
  expect(clientOptions("?backgroundFor=2000&cachedFor=4000")).toEqual({
    backgroundFor: 2000,
    cachedFor: 4000,
  });
  expect(clientOptions("?backgroundFor=-1&cachedFor=soon&url=evil")).toEqual({});
});
