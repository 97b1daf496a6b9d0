import { type Client, createClient, init } from "enfilade";
import { type TierLog, watchTiers } from "./internals/tierLog";
import { clientOptions } from "./settings";
import { createStore, kept } from "./store";

/** A guest, as the server made one. */
export interface Identity {
  userId: string;
  name: string;
  token: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

type State =
  | { stage: "signed-out"; notice: string | null; busy: boolean }
  | { stage: "opening" }
  | { stage: "broken"; reason: string }
  | { stage: "open"; client: Client; identity: Identity; tierLog: TierLog };

/** Names are shown in one line; the server takes no longer ones. */
export const NAME_CHARS = 64;
/** A token that ends sooner than this is not worth a connection. */
const TOKEN_MARGIN_MS = 60_000;

const store = createStore<State>({ stage: "signed-out", notice: null, busy: false });

export const session = {
  subscribe: store.subscribe,
  getSnapshot: store.getSnapshot,

  /** Goes on as whoever this browser was last. */
  resume: () => {
    const identity = readIdentity();
    if (identity) void open(identity);
  },

  /** Becomes a guest of that name. */
  signIn: async (name: string) => {
    store.set({ stage: "signed-out", notice: null, busy: true });
    try {
      const identity = await requestGuest(name);
      writeIdentity(identity);
      await open(identity);
    } catch (error) {
      store.set({ stage: "signed-out", notice: sentence(error), busy: false });
    }
  },

  /** Forgets the guest and all that this browser holds of the rooms. */
  signOut: () => {
    const state = store.getSnapshot();
    writeIdentity(null);
    store.set({ stage: "signed-out", notice: null, busy: false });
    if (state.stage === "open") close(state);
    location.hash = "";
  },
};

async function open(identity: Identity) {
  store.set({ stage: "opening" });
  try {
    await init();
    const client = createClient({
      url: location.origin,
      agent: "enfilade-web-demo",
      token: tokenSource(identity),
      ...clientOptions(location.search),
    });
    const tierLog = watchTiers(client);
    client.connect();
    store.set({ stage: "open", client, identity, tierLog });
  } catch (error) {
    store.set({ stage: "broken", reason: sentence(error) });
  }
}

/**
 * The kept token, once. When the client asks again, the token has ended, or the server does not know it any more; a
 * guest can't prove who they were, so they come in again by the same name as somebody new.
 */
function tokenSource(identity: Identity): () => Promise<string> {
  let given = false;
  return async () => {
    if (!given && identity.expiresAt - Date.now() > TOKEN_MARGIN_MS) {
      given = true;
      return identity.token;
    }
    const next = await requestGuest(identity.name);
    // Not from within the client's own call.
    setTimeout(() => void replace(next), 0);
    return new Promise<never>(() => {});
  };
}

async function replace(identity: Identity) {
  const state = store.getSnapshot();
  if (state.stage !== "open") return;
  close(state);
  writeIdentity(identity);
  await open(identity);
}

function close({ client, tierLog }: Extract<State, { stage: "open" }>) {
  tierLog.dispose();
  client.logout();
  client.dispose();
}

async function requestGuest(name: string): Promise<Identity> {
  const response = await fetch("/api/guest", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name }),
  }).catch(() => {
    throw new Error("The server can’t be reached. Is it running?");
  });
  const body: unknown = await response.json().catch(() => null);
  if (!response.ok) throw new Error(refusal(body) ?? `The server answered ${response.status}.`);
  if (!isGuest(body)) throw new Error("The server answered with something that this page does not know.");
  return { userId: body.user_id, name: body.name, token: body.token, expiresAt: body.expires_at };
}

function isGuest(
  body: unknown,
): body is { user_id: string; name: string; token: string; expires_at: number } {
  return (
    isRecord(body) &&
    typeof body.user_id === "string" &&
    typeof body.name === "string" &&
    typeof body.token === "string" &&
    typeof body.expires_at === "number"
  );
}

/** The sentence of an error answer. */
function refusal(body: unknown): string | null {
  if (!isRecord(body)) return null;
  const error = isRecord(body.error) ? body.error : body;
  for (const field of [error.message, error.text, error.reason]) if (typeof field === "string") return field;
  return null;
}

function readIdentity(): Identity | null {
  try {
    const value: unknown = JSON.parse(kept.read("guest") ?? "null");
    return isRecord(value) &&
      typeof value.userId === "string" &&
      typeof value.name === "string" &&
      typeof value.token === "string" &&
      typeof value.expiresAt === "number"
      ? { userId: value.userId, name: value.name, token: value.token, expiresAt: value.expiresAt }
      : null;
  } catch {
    return null;
  }
}

function writeIdentity(identity: Identity | null) {
  kept.write("guest", identity && JSON.stringify(identity));
  if (identity) kept.write("name", identity.name);
}

/** The name of the last visit, offered again. */
export function lastName(): string {
  return kept.read("name") ?? "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
