import { until, untilEqual } from "./until.mjs";

export const name = "everything is reached by keyboard alone, and the focus is always seen";

export async function test(t) {
  const ada = await t.window();
  const { page } = ada;
  const { keyboard } = page;
  const focused = () =>
    page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return "nothing";
      return element.matches(":focus-visible")
        ? element.id || element.textContent.trim()
        : "nothing that is seen";
    });

  await page.goto(t.server.url);
  await untilEqual("the name is asked for", "name", focused);
  await keyboard.type("Ada");
  await keyboard.press("Enter");
  await ada.online();

  for (const room of ["Hall", "Study"]) {
    await keyboard.press("Alt+n");
    await untilEqual("the room's name is asked for", "room-name", focused);
    await keyboard.type(room);
    await keyboard.press("Enter");
    await untilEqual("the message field has the focus", "composer", focused);
    await keyboard.type(`hello ${room}`);
    await keyboard.press("Shift+Enter");
    await keyboard.type("second line");
    await keyboard.press("Enter");
    await ada.showsExactly(`hello ${room}\nsecond line`);
  }

  // Esc gives the focus back to where it was.
  await keyboard.press("Alt+h");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await keyboard.press("Escape");
  await untilEqual("the focus is back", "composer", focused);

  // The list is one stop; arrows walk in it.
  await page.locator(".skip-links button").first().focus();
  await keyboard.press("Enter");
  await until("the list has the focus", () =>
    page.evaluate(() => document.activeElement?.matches("a[data-room]")),
  );
  await keyboard.press("Home");
  const top = await focused();
  await keyboard.press("ArrowDown");
  if ((await focused()) === top) throw new Error("the arrow did not move the focus");
  await keyboard.press("End");
  await page.locator("a[data-room]:focus", { hasText: "Hall" }).waitFor();
  await keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Hall" }).waitFor();
  await untilEqual("the message field has the focus again", "composer", focused);
  await keyboard.press("Alt+ArrowUp");
  await page.getByRole("heading", { level: 1, name: "Study" }).waitFor();

  // The panel goes and comes.
  await keyboard.press("Alt+i");
  await page.locator(".internals-column").waitFor({ state: "detached" });
  await keyboard.press("Alt+i");
  await page.locator(".internals-column").waitFor();

  // Tab goes round without a trap, and every stop is seen.
  const stops = new Set();
  for (let at = 0; at < 60; at += 1) {
    await keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return "the page";
      if (!element.matches(":focus-visible")) return "unseen";
      return element.outerHTML.slice(0, 120);
    });
    if (stop === "unseen") throw new Error("a stop of the Tab key can't be seen");
    if (stops.has(stop) && stop === "the page") break;
    stops.add(stop);
  }
  for (const part of ["New room", "composer", "timeline", "Room internals"]) {
    if (![...stops].some((stop) => stop.includes(part))) throw new Error(`Tab does not reach: ${part}`);
  }
}
