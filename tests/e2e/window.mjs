// One window of the demo, and what a person does in it.

import { untilEqual } from "./until.mjs";

/** Client times that let a test see every tier. */
export const HURRIED = { backgroundFor: 1_500, cachedFor: 2_500 };

export class Window {
  constructor(page) {
    this.page = page;
    this.errors = [];
    page.on("pageerror", (error) => this.errors.push(error.message));
    page.on("console", (message) => {
      const text = message.text();
      // A server that is not there is part of several tests, and the browser's own message.
      if (message.type() === "error" && !/ERR_CONNECTION|WebSocket|status of 404/.test(text)) {
        this.errors.push(text);
      }
    });
  }

  /** Opens the page, chooses a name, and waits for the list of rooms. */
  async enter(url, name, times = {}) {
    await this.page.goto(`${url}/?${new URLSearchParams(times)}`);
    await this.page.getByLabel("What should the others call you?").fill(name);
    await this.page.getByRole("button", { name: "Come in" }).click();
    await this.online();
  }

  async online() {
    await this.page.locator('.you-state[data-state="online"]').waitFor({ state: "attached" });
  }

  /** @returns the id of the new room, in which the window then is. */
  async createRoom(name, { topic = "", visibility = "Public" } = {}) {
    await this.page.getByRole("button", { name: "New room", exact: true }).click();
    await this.page.locator("#room-name").fill(name);
    await this.page.locator("#room-topic").fill(topic);
    await this.page.getByRole("radio", { name: visibility }).check();
    await this.page.getByRole("button", { name: "Make the room" }).click();
    await this.page.getByRole("heading", { level: 1, name }).waitFor();
    return decodeURIComponent(new URL(this.page.url()).hash.replace("#/rooms/", ""));
  }

  row(name) {
    return this.page.getByRole("navigation", { name: "Rooms" }).locator("a[data-room]", { hasText: name });
  }

  async openRoom(name) {
    await this.row(name).click();
    await this.page.getByRole("heading", { level: 1, name }).waitFor();
  }

  async join() {
    await this.page.getByRole("button", { name: "Join", exact: true }).click();
    await this.page.getByRole("button", { name: "Leave" }).waitFor();
  }

  async send(text) {
    await this.page.locator("#composer").fill(text);
    await this.page.locator("#composer").press("Enter");
  }

  /** Texts of the timeline, from the oldest to the newest, pending ones too. */
  texts() {
    return this.page.locator("[data-message] .bubble").evaluateAll((bubbles) =>
      bubbles.map((bubble) =>
        [...bubble.childNodes]
          .filter((node) => !node.classList?.contains("visually-hidden"))
          .map((node) => node.textContent)
          .join(""),
      ),
    );
  }

  /** Texts with what is still pending marked. */
  async showsExactly(...expected) {
    await untilEqual("the timeline shows this and nothing else", expected, () => this.texts());
  }

  pending() {
    return this.page
      .locator('[data-status="queued"] .bubble, [data-status="sending"] .bubble')
      .allTextContents();
  }

  banner(phase) {
    return this.page.locator(`.banner[data-phase="${phase}"]`);
  }

  /** The tier of a room, as the panel says. */
  tier(id) {
    return this.page.locator(`[data-held="${id}"]`).getAttribute("data-tier");
  }

  /** A fact of the open room, as the panel says. */
  fact(name) {
    return this.page.locator(`[data-fact="${name}"]`).textContent();
  }
}
