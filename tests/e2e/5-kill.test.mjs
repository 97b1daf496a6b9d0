import { untilEqual } from "./until.mjs";

export const name =
  "a server that is killed and started again: the windows come back, and everything is there once, in order";

export async function test(t) {
  const ada = await t.window();
  const bob = await t.window();
  await ada.enter(t.server.url, "Ada");
  await bob.enter(t.server.url, "Bob");
  await ada.createRoom("Hall");
  await bob.openRoom("Hall");

  // It dies in the middle of this.
  const burst = Array.from({ length: 20 }, (_, at) => `message ${at + 1}`);
  for (const text of burst.slice(0, 12)) await ada.send(text);
  const killed = t.server.kill();
  for (const text of burst.slice(12)) await ada.send(text);
  await killed;

  for (const window of [ada, bob])
    await window.banner("waiting").or(window.banner("again")).first().waitFor();
  const reconnecting = await ada.page.locator(".banner").innerText();
  if (!/Reconnecting/.test(reconnecting)) throw new Error(`the banner says: ${reconnecting}`);

  await ada.send("typed meanwhile");
  await ada.send("no, not this one");
  await ada.send("and this after it");
  await untilEqual("what was typed is pending", true, async () => {
    const pending = await ada.pending();
    return ["typed meanwhile", "no, not this one", "and this after it"].every((text) =>
      pending.includes(text),
    );
  });
  const mistake = ada.page.locator(".message", { hasText: "no, not this one" });
  await mistake.getByRole("button", { name: "Cancel" }).click();
  await mistake.waitFor({ state: "detached" });

  await t.server.start();
  await ada.online();
  await bob.online();
  const expected = [...burst, "typed meanwhile", "and this after it"];
  await ada.showsExactly(...expected);
  await bob.showsExactly(...expected);
  await untilEqual("nothing is pending", [], () => ada.pending());
  await ada.banner("back").or(ada.page.locator("body:not(:has(.banner))")).first().waitFor();

  // A window that was not there sees the same.
  const eve = await t.window();
  await eve.enter(t.server.url, "Eve");
  await eve.openRoom("Hall");
  await eve.showsExactly(...expected);
}
