// Stands for the built glue of the second WASM file, which is beside the compiled TypeScript.
import type { ReplayedRoom, ReplayedStep, TraceAbout } from "../testing/index.js";

/** What a server in the process wants done. */
export type Output =
  | { readonly kind: "send"; readonly conn: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "close"; readonly conn: number; readonly code: number }
  | { readonly kind: "persist"; readonly key: string; readonly value: Uint8Array | null };

/** Times in milliseconds. */
export class AloneServer {
  constructor(seed: bigint, stored: readonly (readonly [string, Uint8Array])[], now: number);
  connect(now: number): number | undefined;
  frame(conn: number, bytes: Uint8Array, now: number): void;
  disconnect(conn: number, now: number): void;
  timeout(now: number): void;
  deadline(): number | undefined;
  drain(): Output[];
  rooms(): string[];
  free(): void;
}

/** Throws the number of a code. */
export class TraceReplay {
  constructor(bytes: Uint8Array);
  about(): TraceAbout;
  redacted(): Uint8Array;
  seek(steps: number, shown: number): ReplayedStep[];
  divergence(): number | undefined;
  room(room: string): ReplayedRoom | undefined;
  free(): void;
}

/** Throws the number of a code. */
export class World {
  constructor(seed: bigint, clients: number);
  create_room(client: number, room: string, name: string): void;
  join(client: number, room: string): void;
  post(client: number, room: string, text: string): void;
  acquire(client: number, room: string): void;
  release(client: number, room: string): void;
  set_tier(client: number, room: string, tier: number): void;
  cut(client: number): void;
  pass(milliseconds: number): void;
  room(client: number, room: string): ReplayedRoom | undefined;
  wrong(): string[];
  free(): void;
}

/** Compiles and starts the WASM. */
export default function start(input: {
  module_or_path: Response | BufferSource | WebAssembly.Module | Promise<Response>;
}): Promise<unknown>;
