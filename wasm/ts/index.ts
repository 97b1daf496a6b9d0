/**
 * Enfilade: shared rooms for real-time apps.
 *
 * ```ts
 * await init();
 * const client = createClient({ url: location.origin, token });
 * client.connect();
 * const room = client.room("lobby");
 * const release = room.acquire();
 * room.messages.subscribe(() => render(room.messages.getSnapshot()));
 * ```
 *
 * @packageDocumentation
 */
export { createClient } from "./client.js";
export { type CodeName, type CodeRow, codes, type Retry } from "./codes.js";
export { type CodedError, codedError, EnfiladeError } from "./errors.js";
export { type InitSource, init } from "./init.js";
export type { Operation } from "./operation.js";
export type * from "./types.js";
