// Pictures of every screen, to look at.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DESK } from "./sizes.mjs";
import { pause, until } from "./until.mjs";

const ADA = [
  "Has anybody seen the drawing of the west wing?",
  "The doors are lined up now: from the hall you look right through to the library.",
];
const GRACE = [
  "It is lovely. One question: do we want the long windows on the garden side?\n\n- small: 1.10 x 1.60 m\n- long: 1.10 x 3.20 m",
  "The plan is at https://example.com/plans/west-wing-2",
];

/** Whoever writes is somebody else each time. */
const NAMES = { unread: "Mei Lin", mentions: "Søren Holm", reconnecting: "Tove" };

/** What a person looks at, after the scene was set. Each gets a fresh window that is signed in. */
const SCREENS = {
  "no-room": async () => {},
  room: async ({ w }) => w.openRoom("West wing"),
  visitor: async ({ w }) => w.openRoom("Garden"),
  quiet: async ({ w }) => w.openRoom("Attic"),
  unread: async ({ w, ada, phone }) => {
    await w.openRoom("West wing");
    await w.send("I’ll have a look after lunch");
    await until("Ada knows who that is", async () => (await ada.texts()).at(-1)?.includes("after lunch"));
    if (phone) await w.page.goBack();
    else await w.openRoom("Attic");
    await until(
      "it is Background",
      async () => (await w.row("West wing").getAttribute("data-tier")) === "background",
    );
    await ada.send(`@${w.name} could you look at the third door, please?`);
    await ada.send("It still opens to the wrong side");
    await w.row("West wing").locator(".badge", { hasText: "2" }).waitFor();
  },
  mentions: async ({ w, ada }) => {
    await w.openRoom("West wing");
    await w.send("Here I am");
    await until("Ada knows who that is", async () => (await ada.texts()).at(-1) === "Here I am");
    await w.page.goBack();
    await ada.send(`Thank you @${w.name}`);
    await w.page.getByRole("button", { name: /Mentions, \d+ new/ }).click();
  },
  changed: async ({ w, ada, phone }) => {
    await w.openRoom("West wing");
    await w.send("The third door opens to the wrnog side");
    const own = w.page.locator("[data-status]", { hasText: "The third door" });
    await until("Ada knows who that is", async () => (await ada.texts()).at(-1)?.includes("third door"));
    await own.hover();
    await own.getByRole("button", { name: "Edit" }).click();
    await w.page.getByLabel("Edit message").fill("The third door opens to the wrong side");
    await w.page.keyboard.press("Enter");
    await own.getByText("edited").waitFor();
    await own.hover();
    await own.getByRole("button", { name: "React with 🎉" }).click();
    const hers = ada.page.locator("[data-status]", { hasText: "third door opens to the wrong" });
    await hers.hover();
    await hers.getByRole("button", { name: "React with 👍" }).click();
    await hers.getByRole("button", { name: "Pin" }).click();
    await ada.send("Never mind");
    const gone = ada.page.locator("[data-status]", { hasText: "Never mind" });
    await gone.hover();
    await gone.getByRole("button", { name: "Delete" }).click();
    await gone.getByRole("button", { name: "Really delete?" }).click();
    await w.page.getByText("deleted").first().waitFor();
    if (phone) await own.locator(".bubble").tap();
    else await own.hover();
  },
  autocomplete: async ({ w }) => {
    await w.openRoom("West wing");
    await w.page.locator("#composer").pressSequentially("What do you think, @");
    await w.page.getByRole("option").first().waitFor();
  },
  "new-room": async ({ w }) => w.page.getByRole("button", { name: "New room", exact: true }).click(),
  you: async ({ w }) => w.page.locator(".you-button").click(),
  keyboard: async ({ w }) => w.page.keyboard.press("Alt+h"),
  people: async ({ w }) => {
    await w.openRoom("West wing");
    await w.page.locator(".people-button").click();
  },
  internals: async ({ w, phone }) => {
    for (const name of ["Garden", "Attic", "West wing"]) {
      await w.openRoom(name);
      if (phone) await w.page.getByRole("link", { name: "Back to the rooms" }).click();
    }
    if (!phone) return;
    await w.openRoom("West wing");
    await w.page.getByRole("button", { name: "Room internals" }).click();
  },
  "unknown-room": async ({ w, url }) => {
    await w.page.goto(`${url}/#/rooms/nowhere`);
    await w.page.getByText("There is no such room").waitFor();
  },
  forbidden: async ({ w, url, secret }) => {
    await w.page.goto(`${url}/#/rooms/${secret}`);
    await w.page.getByText("This room is private").waitFor();
  },
  refused: async ({ w }) => {
    await w.openRoom("West wing");
    await w.page.locator("#composer").fill("x".repeat(4_012));
  },
  reconnecting: async ({ w, door }) => {
    await w.openRoom("West wing");
    await w.send("Sent while all was well");
    await w.page.locator('[data-status="sent"]', { hasText: "Sent while all was well" }).waitFor();
    door.shut();
    await w.banner("waiting").or(w.banner("again")).first().waitFor();
    await w.send("Typed meanwhile");
    await w.send("and this as well");
  },
  back: async ({ w, door }) => {
    await w.openRoom("West wing");
    door.shut();
    await w.banner("waiting").or(w.banner("again")).first().waitFor();
    door.open();
    await w.banner("back").waitFor();
  },
  offline: async ({ w, door }) => {
    await w.openRoom("West wing");
    await w.page.context().setOffline(true);
    // What is connected goes on until it breaks.
    door.shut();
    await w.banner("offline").waitFor();
  },
};

/** All screens at one size and in one theme, on a server of their own. */
export async function gallery(t, folder, viewport, colorScheme) {
  await mkdir(folder, { recursive: true });
  const ada = await t.window();
  const grace = await t.window();
  await ada.enter(t.server.url, "Ada Byron");
  await grace.enter(t.server.url, "Grace");
  await grace.createRoom("Garden", { topic: "Roses, and who waters them" });
  await grace.send("The roses are out");
  await ada.createRoom("Attic");
  const secret = await ada.createRoom("Secret", { visibility: "Private" });
  await ada.createRoom("West wing", { topic: "Plans, windows and doors" });
  await grace.openRoom("West wing");
  for (const at of [0, 1]) {
    await ada.send(ADA[at]);
    await grace.send(GRACE[at]);
  }

  const phone = viewport.width < DESK.width;
  const options = { viewport, colorScheme, isMobile: phone, hasTouch: phone };
  const shoot = async (w, screen) => {
    await pause(300);
    await w.page.screenshot({
      path: join(folder, `${screen}-${phone ? "phone" : "desk"}-${colorScheme}.png`),
    });
  };
  const stranger = await t.window(options);
  await stranger.page.goto(t.server.url);
  await shoot(stranger, "name");
  await stranger.page.context().close();
  for (const [screen, act] of Object.entries(SCREENS)) {
    const w = await t.window(options);
    const door = await t.door();
    w.name = NAMES[screen] ?? "Robin";
    await w.enter(door.url, w.name);
    await act({ w, ada, grace, door, phone, url: door.url, secret });
    await shoot(w, screen);
    await w.page.context().close();
    await door.dispose();
  }
}
