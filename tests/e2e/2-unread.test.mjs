import { until } from "./until.mjs";

export const name =
  "a Background room goes on counting what is unread, and a mention shows at once, everywhere";

export async function test(t) {
  const ada = await t.window();
  const bob = await t.window();
  await ada.enter(t.server.url, "Ada");
  await bob.enter(t.server.url, "Bob Stone");
  await ada.createRoom("Hall");
  await bob.openRoom("Hall");
  await bob.join();
  await bob.createRoom("Study");
  await until(
    "the hall is Background",
    async () => (await bob.row("Hall").getAttribute("data-tier")) === "background",
  );

  await ada.send("one");
  await ada.send("two");
  await bob.row("Hall").locator(".badge", { hasText: "2" }).waitFor();
  if ((await bob.row("Hall").locator(".badge.mention").count()) > 0)
    throw new Error("nobody was mentioned yet");

  // By the list of names, as a person would.
  const field = ada.page.locator("#composer");
  await field.pressSequentially("are you there @bo");
  await ada.page.getByRole("option", { name: "Bob Stone" }).waitFor();
  await field.press("Tab");
  await field.pressSequentially("?");
  await field.press("Enter");
  await ada.page.locator(".bubble", { hasText: "are you there @Bob Stone ?" }).waitFor();

  await bob.row("Hall").locator(".badge.mention").waitFor();
  await bob.row("Hall").locator(".badge", { hasText: "3" }).waitFor();
  await bob.page.getByRole("button", { name: "Mentions, 1 new" }).click();
  await bob.page.locator(".notification.fresh", { hasText: "are you there" }).click();

  await bob.page.getByRole("heading", { level: 1, name: "Hall" }).waitFor();
  await bob.showsExactly("one", "two", "are you there @Bob Stone ?");
  await bob.page.locator(".unread-line").waitFor();
  await bob.page.locator(".message.to-me").waitFor();
  await until("all is read", async () => (await bob.row("Hall").locator(".badge").count()) === 0);
  await bob.page.getByRole("button", { name: "Mentions", exact: true }).waitFor();
}
