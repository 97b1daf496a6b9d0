import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { kotlinClassPath, kotlinProperties } from "../../scripts/build-kotlin.mjs";
import { untilEqual } from "./until.mjs";

export const name = "a window and a Kotlin client on the JVM read each other in one room";

/** It needs a JDK and the Kotlin package: `npm test -- kotlin` builds that, and names this test. */
export const onlyWhenNamed = true;

export async function test(t) {
  const ada = await t.window();
  await ada.enter(t.server.url, "Ada");
  const room = await ada.createRoom("Parlour");
  await ada.send("Good morning");
  await ada.showsExactly("Good morning");

  const kotlin = new Kotlin(t.server.url, room, "Hello from the JVM", "Goodbye");
  try {
    await ada.showsExactly("Good morning", "Hello from the JVM");
    await ada.send("How are you?");
    await untilEqual(
      "Kotlin has read the window",
      ["Good morning", "Hello from the JVM", "How are you?"],
      () => kotlin.messages.map((message) => message.text),
    );
    await ada.send("Goodbye");
    await kotlin.end();
  } catch (error) {
    error.stack += `\nKotlin said:\n${kotlin.log.join("\n")}`;
    throw error;
  } finally {
    kotlin.kill();
  }
  const authors = kotlin.messages.map((message) => message.author_name).join();
  if (authors !== "Ada,Kotlin,Ada,Ada") throw new Error(`the authors are ${authors}`);
  const ids = new Set(kotlin.messages.map((message) => message.id));
  if (ids.size !== 4) throw new Error("a message came twice");
}

/** `EchoMainKt` of the Kotlin package's tests, as a process. */
class Kotlin {
  messages = [];
  log = [];
  #process;
  #code;

  constructor(...args) {
    const options = [...kotlinProperties, "-cp", kotlinClassPath, "dev.enfilade.EchoMainKt", ...args];
    this.#process = spawn("java", options, { stdio: ["ignore", "pipe", "pipe"] });
    this.#code = new Promise((done, fail) => {
      this.#process.once("error", fail);
      this.#process.once("close", done);
    });
    this.#code.catch((error) => this.log.push(error.message));
    createInterface(this.#process.stdout).on("line", (line) => this.messages.push(JSON.parse(line)));
    createInterface(this.#process.stderr).on("line", (line) => this.log.push(line));
  }

  /** Waits until it ends by itself, as it does when it has read the last message. */
  async end() {
    const code = await this.#code;
    if (code !== 0) throw new Error(`Kotlin ended with ${code}`);
  }

  kill() {
    this.#process.kill("SIGKILL");
  }
}
