import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { PHONE } from "./sizes.mjs";

export const name =
  "axe finds nothing serious on any main screen, in both themes, at the desk and on a phone";

const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
const SERIOUS = ["serious", "critical"];

export async function test(t) {
  const source = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const other = await t.window();
  await other.enter(t.server.url, "Grace");
  await other.createRoom("Hall", { topic: "Where everybody meets" });
  await other.send("Is anybody here?");

  for (const colorScheme of ["light", "dark"]) {
    const desk = await t.window({ colorScheme, bypassCSP: true });
    await desk.page.goto(t.server.url);
    await check(desk, source, `${colorScheme}: the name screen`);
    await desk.enter(t.server.url, `Ada ${colorScheme}`);
    await check(desk, source, `${colorScheme}: no room`);
    await desk.openRoom("Hall");
    await check(desk, source, `${colorScheme}: reading as a visitor`);
    await desk.send(`I am, in the ${colorScheme}`);
    await desk.page.locator('[data-status="sent"]', { hasText: `in the ${colorScheme}` }).waitFor();
    await check(desk, source, `${colorScheme}: a room`);
    for (const [keys, title] of [
      ["Alt+n", "New room"],
      ["Alt+h", "Keyboard"],
    ]) {
      await desk.page.keyboard.press(keys);
      await desk.page.getByRole("dialog", { name: title }).waitFor();
      await check(desk, source, `${colorScheme}: ${title}`);
      await desk.page.keyboard.press("Escape");
    }
    await desk.page.goto(`${t.server.url}/#/rooms/nowhere`);
    await desk.page.getByText("There is no such room").waitFor();
    await check(desk, source, `${colorScheme}: an unknown room`);

    const phone = await t.window({
      colorScheme,
      viewport: PHONE,
      isMobile: true,
      hasTouch: true,
      bypassCSP: true,
    });
    await phone.enter(t.server.url, `Mei ${colorScheme}`);
    await check(phone, source, `${colorScheme}: the list on a phone`);
    await phone.openRoom("Hall");
    await check(phone, source, `${colorScheme}: a room on a phone`);
    await phone.page.getByRole("button", { name: "Room internals" }).click();
    await check(phone, source, `${colorScheme}: internals on a phone`);
  }
}

async function check({ page }, source, screen) {
  await page.evaluate(source);
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: values }), TAGS);
  const serious = violations.filter(({ impact }) => SERIOUS.includes(impact));
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) throw new Error(`${screen}: the page is ${wide} px too wide`);
  if (serious.length === 0) return;
  const told = serious.map(
    ({ id, nodes }) => `${id} at ${nodes.map(({ target }) => target.join(" ")).join(", ")}`,
  );
  throw new Error(`${screen}: ${told.join("; ")}`);
}
