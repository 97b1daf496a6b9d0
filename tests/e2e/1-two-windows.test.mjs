import { until, untilEqual } from "./until.mjs";

export const name =
  "a room made in one window is listed in the other, and what is written there arrives at once";

/** A blink, with room for a machine that does other things besides. */
const BLINK_MS = 1_000;

export async function test(t) {
  const ada = await t.window();
  const bob = await t.window();
  await ada.enter(t.server.url, "Ada Byron");
  await bob.enter(t.server.url, "Bob");

  await ada.createRoom("Drawing room", { topic: "Where the plans lie" });
  await bob.openRoom("Drawing room");
  await bob.page.getByText("Where the plans lie").first().waitFor();

  await ada.send("Good morning");
  await bob.showsExactly("Good morning");
  await bob.page.getByText("You are reading as a visitor").waitFor();
  await bob.send("Hello Ada\nwith a second line");
  await ada.showsExactly("Good morning", "Hello Ada\nwith a second line");
  await bob.page.getByRole("button", { name: "Leave" }).waitFor();

  await ada.send("One");
  const began = Date.now();
  await until("the message is there", async () => (await bob.texts()).includes("One"));
  if (Date.now() - began > BLINK_MS) throw new Error(`the message took ${Date.now() - began} ms`);

  await untilEqual("both are here", "2 here", async () => {
    const text = await ada.page.locator(".people-count").innerText();
    return text.replace(/\s+/g, " ");
  });
  // The name and the room are kept.
  await bob.page.reload();
  await bob.showsExactly("Good morning", "Hello Ada\nwith a second line", "One");
  await bob.page.locator(".you-name", { hasText: "Bob" }).waitFor();
}
