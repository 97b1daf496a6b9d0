import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { codedError, codes } from "../index.js";

const registry = readFileSync(join(import.meta.dirname, "../../../proto/src/code.rs"), "utf8");
const RETRY = { Never: "never", Later: "later", Resync: "resync", NewToken: "new-token" } as const;

test("the codes are those of the registry", () => {
  const rows = [...registry.matchAll(/^\s+(\d{4}) \w+ "(\w+)" (\w+) "(.*)";$/gm)];
  expect(rows.length).toBeGreaterThan(30);
  const expected = rows.map(([, code, name, retry, text]) => [
    name,
    { code: Number(code), retry: RETRY[retry as keyof typeof RETRY], text },
  ]);
  expect(Object.entries(codes).filter(([, { code }]) => code >= 1_000)).toEqual(expected);
});

test("a code of a newer server gets its retry decision from its range", () => {
  expect(codedError(2999)).toMatchObject({ codeName: "unknown", retry: "later" });
  expect(codedError(4999).retry).toBe("new-token");
  expect(codedError(3100).retry).toBe("resync");
  expect(codedError(9).retry).toBe("never");
});
