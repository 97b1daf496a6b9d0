import { untilEqual } from "./until.mjs";

export const name = "what waits to be sent survives a reload, and then goes once, in order";

export async function test(t) {
  const door = await t.door();
  const ada = await t.window();
  const bob = await t.window();
  await ada.enter(door.url, "Ada");
  await bob.enter(t.server.url, "Bob");
  await ada.createRoom("Hall");
  await ada.send("before");
  await bob.openRoom("Hall");
  await bob.showsExactly("before");

  door.shut();
  await ada.banner("waiting").or(ada.banner("again")).first().waitFor();
  await ada.send("first in the queue");
  await ada.send("second in the queue");
  await untilEqual("both wait", ["first in the queue", "second in the queue"], () => ada.pending());

  await ada.page.reload();
  await untilEqual("both still wait", ["first in the queue", "second in the queue"], () => ada.pending());
  await bob.showsExactly("before");

  door.open();
  await ada.showsExactly("before", "first in the queue", "second in the queue");
  await bob.showsExactly("before", "first in the queue", "second in the queue");
  await untilEqual("nothing waits", [], () => ada.pending());
}
