import { type EnfiladeError, errorNamed } from "./errors.js";
import type { ClientOptions } from "./types.js";

/** Waits between attempts to get a token: the first, and the longest. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

/** Fetches tokens, one at a time, and goes on trying while they are wanted. */
export class TokenSource {
  #token: ClientOptions["token"];
  #give: (token: string) => void;
  #failed: (error: EnfiladeError) => void;
  #wanted = false;
  #asking = false;
  #failures = 0;
  #given = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    token: ClientOptions["token"],
    give: (token: string) => void,
    failed: (error: EnfiladeError) => void,
  ) {
    this.#token = token;
    this.#give = give;
    this.#failed = failed;
  }

  /** Gives a token as soon as there is one. Does nothing while one is being fetched. */
  want(): void {
    this.#wanted = true;
    if (this.#asking) return;
    // A fixed token that was given is one that the server did not take.
    if (typeof this.#token === "string" && this.#given) {
      this.#failed(errorNamed("token_invalid"));
      return;
    }
    this.#asking = true;
    clearTimeout(this.#timer);
    void this.#ask();
  }

  /** No token is wanted any more, until the next time. */
  stop(): void {
    this.#wanted = false;
    this.#given = false;
    clearTimeout(this.#timer);
  }

  async #ask(): Promise<void> {
    try {
      const token = typeof this.#token === "string" ? this.#token : await this.#token();
      this.#asking = false;
      this.#failures = 0;
      if (!this.#wanted) return;
      this.#wanted = false;
      this.#given = true;
      this.#give(token);
    } catch (cause) {
      this.#asking = false;
      if (!this.#wanted) return;
      const wait = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, LONGEST_WAIT_MS);
      this.#failures += 1;
      this.#timer = setTimeout(() => this.want(), wait * (0.5 + Math.random() / 2));
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.#failed(errorNamed("token_source_failed", { reason: `No token: ${reason}`, cause }));
    }
  }
}
