import { pause, until } from "./until.mjs";
import { HURRIED } from "./window.mjs";

export const name =
  "a room that was left goes from Active to Background, Cached and Unloaded, and the panel says why";

export async function test(t) {
  const ada = await t.window();
  await ada.enter(t.server.url, "Ada", HURRIED);
  const first = await ada.createRoom("First");
  await ada.send("hello");
  await ada.showsExactly("hello");
  await until("the position is known", async () => Number(await ada.fact("Seq")) >= 2);
  if (Number(await ada.fact("Epoch")) === 0) throw new Error("the panel shows no epoch");
  if ((await ada.fact("Bytes in")) === "0 B") throw new Error("the panel shows no bytes");

  const seen = [await ada.tier(first)];
  await ada.createRoom("Second");
  await until("the first room is Unloaded", async () => {
    const tier = await ada.tier(first);
    if (tier !== seen.at(-1)) seen.push(tier);
    return tier === "unloaded";
  });
  const walk = seen.join(" ");
  if (walk !== "active background cached unloaded") throw new Error(`the room went: ${walk}`);
  const why = await ada.page.locator(`[data-held="${first}"] .why`).textContent();
  if (!why) throw new Error("the panel does not say why");
  const steps = ada.page.locator(".walk li", { hasText: "First" });
  if ((await steps.count()) < 4) throw new Error("the panel does not tell what happened");

  await ada.openRoom("First");
  await ada.showsExactly("hello");
  await pause(HURRIED.backgroundFor + HURRIED.cachedFor);
  if ((await ada.tier(first)) !== "active") throw new Error("the room that is open is not Active");
}
