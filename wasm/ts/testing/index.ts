/**
 * A server in the process, replay of traces, and simulation: for tests, demos without a network, and bug reports. It
 * has a WASM file of its own, which is loaded by {@link initTesting} and by nothing else.
 *
 * ```ts
 * await Promise.all([init(), initTesting()]);
 * const server = startServer();
 * globalThis.WebSocket = server.WebSocket;
 * const client = createClient({ url: "http://alone", token: "ada Ada", storage: null });
 * client.connect();
 * ```
 *
 * @packageDocumentation
 */
import start, { TraceReplay, World } from "../bindgen/enfilade_testing.js";
import { codedError, EnfiladeError } from "../errors.js";
import { type InitSource, open } from "../init.js";

export { type LocalServer, type ServerOptions, startServer } from "./server.js";

/** What a trace says of itself. */
export interface TraceAbout {
  readonly steps: number;
  /** The session went on when the recording was full. */
  readonly full: boolean;
  readonly redacted: boolean;
  /** Of the core that has recorded. */
  readonly version: string;
}

/** A step of a session that happens again. */
export interface ReplayedStep {
  readonly index: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Whether it led to what it did when it was recorded. */
  readonly exact: boolean;
  /** For people to read. */
  readonly input: string;
  readonly effects: readonly string[];
  readonly events: readonly string[];
}

/** A room as a client held it. */
export interface ReplayedRoom {
  readonly name: string;
  readonly tier: "unloaded" | "cached" | "background" | "active";
  readonly epoch: number;
  readonly seq: number;
  readonly messages: readonly { readonly author: string; readonly text: string; readonly at: number }[];
  /** Operations that are not confirmed. */
  readonly pending: number;
  readonly unread: number;
}

/** A recorded session that can be gone through. */
export interface Replay {
  readonly about: TraceAbout;
  /** Goes to where so many steps are done, backwards too; returns the last `shown` of them. */
  seek(steps: number, shown?: number): readonly ReplayedStep[];
  /** What was held of a room then; `undefined` when nothing. */
  room(id: string): ReplayedRoom | undefined;
  /** The first step that comes out otherwise than it was recorded; `undefined` when all are exact. */
  divergence(): number | undefined;
  /** Lets go of all memory. */
  dispose(): void;
}

/** What happens in a simulation, in order. Clients are numbered from 0. */
export type SimulationStep =
  | { readonly pass: number }
  | { readonly cut: number }
  | { readonly client: number; readonly create: string; readonly name: string }
  | { readonly client: number; readonly join: string }
  | { readonly client: number; readonly acquire: string }
  | { readonly client: number; readonly release: string }
  | { readonly client: number; readonly post: string; readonly text: string };

/** How a simulation ended. */
export interface SimulationResult {
  /** What is not as it should be, in words; empty when all is well. */
  readonly wrong: readonly string[];
  /** What a client holds of a room. */
  room(client: number, id: string): ReplayedRoom | undefined;
}

let started: Promise<unknown> | undefined;

/** Loads the second WASM file, from beside this module unless a source is given. Further calls wait for the first. */
export function initTesting(source?: InitSource): Promise<void> {
  started ??= load(source).catch((error: unknown) => {
    started = undefined;
    throw error;
  });
  return started.then(() => undefined);
}

async function load(source: InitSource | undefined): Promise<unknown> {
  // Bundlers look for exactly this expression.
  const from = source ?? new URL("../bindgen/enfilade_testing_bg.wasm", import.meta.url);
  return start({ module_or_path: typeof from === "string" || from instanceof URL ? await open(from) : from });
}

/** Opens a trace that {@link Client.trace} gave out. Throws `trace_damaged` or `trace_too_new` as coded errors. */
export function replay(trace: Uint8Array): Replay {
  const held = coded(() => new TraceReplay(trace));
  return {
    about: held.about(),
    seek: (steps, shown = 1) => held.seek(steps, shown),
    room: (id) => held.room(id),
    divergence: () => held.divergence(),
    dispose: () => held.free(),
  };
}

/** The trace without what people wrote, were called or proved themselves by. */
export function redactTrace(trace: Uint8Array): Uint8Array {
  const held = coded(() => new TraceReplay(trace));
  try {
    return coded(() => held.redacted());
  } finally {
    held.free();
  }
}

/** Clients, a server and a network that delays and loses, from one seed: the same seed and script end the same. */
export function simulate(
  seed: number | bigint,
  clients: number,
  script: readonly SimulationStep[],
): SimulationResult {
  const world = new World(BigInt(seed), clients);
  for (const step of script) coded(() => happen(world, step));
  const wrong = world.wrong();
  return { wrong, room: (client, id) => world.room(client, id) };
}

function happen(world: World, step: SimulationStep): void {
  if ("pass" in step) world.pass(step.pass);
  else if ("cut" in step) world.cut(step.cut);
  else if ("create" in step) world.create_room(step.client, step.create, step.name);
  else if ("join" in step) world.join(step.client, step.join);
  else if ("acquire" in step) world.acquire(step.client, step.acquire);
  else if ("release" in step) world.release(step.client, step.release);
  else world.post(step.client, step.post, step.text);
}

function coded<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw typeof error === "number" ? new EnfiladeError(codedError(error)) : error;
  }
}
