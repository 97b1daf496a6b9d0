import { describe, expect, it } from "vitest";
import { encodeOperation, type Operation } from "../operation.js";
import { fakeClient } from "./fake-core.js";

const hex = (operation: Operation) => Buffer.from(encodeOperation(operation)).toString("hex");

describe("operations as bytes", () => {
  it("are protobuf, whatever their fields", () => {
    expect(hex({ leaveTeam: {} })).toBe("7200");
    expect(hex({ kick: { user: "bob", reason: "é" } })).toBe("b201090a03626f621202c3a9");
    expect(hex({ setRole: { user: "bob", role: "owner" } })).toBe("aa01070a03626f621002");
    expect(hex({ setPermissions: { role: "member", capabilities: ["post", "administer"] } })).toBe(
      "da010608001001100a",
    );
    expect(hex({ setConfig: { emoteOnly: false, slowModeDuration: 300 } })).toBe("1a0510ac022800");
  });

  it("hold numbers beyond 32 bits, and repeat what is a list", () => {
    expect(hex({ addScore: { points: Number.MAX_SAFE_INTEGER } })).toBe("7a0908ffffffffffffff0f");
    expect(hex({ setTeams: { teams: ["a", "b"] } })).toBe("62060a01610a0162");
  });

  it("go to the room, and those about oneself to the inbox", () => {
    const { client, core } = fakeClient();
    client.room("lobby").submit({ leaveTeam: {} });
    client.submit({ removeFriend: { user: "b" } });
    expect(core.calls.filter((call) => call.startsWith("submit"))).toEqual([
      "submit lobby 114,0",
      "submit inbox: 130,2,3,10,1,98",
    ]);
  });
});
