import { until } from "./until.mjs";

export const name = "a Cached room is painted from its snapshot at once, and then brought up to date";

export async function test(t) {
  const door = await t.door();
  const ada = await t.window();
  const bob = await t.window();
  await ada.enter(door.url, "Ada", { backgroundFor: 500 });
  await bob.enter(t.server.url, "Bob");
  const first = await ada.createRoom("First");
  for (const text of ["a", "b", "c"]) await ada.send(text);
  await ada.showsExactly("a", "b", "c");
  await bob.openRoom("First");
  await ada.createRoom("Second");
  await until("the room is Cached", async () => (await ada.tier(first)) === "cached");

  // Nothing can come from the server now, so what is painted was held.
  door.shut();
  await ada.banner("waiting").or(ada.banner("again")).first().waitFor();
  await bob.send("d, while the door was shut");
  await ada.openRoom("First");
  await ada.showsExactly("a", "b", "c");

  door.open();
  await ada.online();
  await ada.showsExactly("a", "b", "c", "d, while the door was shut");
}
