import { errorNamed } from "./errors.js";
import type { Client, ClientOptions } from "./types.js";

/** Makes a client. It holds no connection until {@link Client.connect}. */
export function createClient(options: ClientOptions): Client {
  void options;
  throw errorNamed("not_initialised");
}
