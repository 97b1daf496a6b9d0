// Operations as objects, and their bytes: what `submit` takes. Field numbers are those of proto/op.proto.

const VISIBILITY = ["public", "unlisted", "private"] as const;
const ROLE = ["member", "moderator", "owner"] as const;
const AVAILABILITY = ["online", "away", "busy", "invisible"] as const;
const CAPABILITY = [
  "unspecified",
  "post",
  "react",
  "pin",
  "moderate",
  "draw",
  "play",
  "signal",
  "invite",
  "configure",
  "administer",
] as const;

const TEXT = "text";
const TEXTS = "texts";
const COUNT = "count";
const FLAG = "flag";
const CAPABILITIES = { each: CAPABILITY } as const;

const user = [1, TEXT] as const;
const until = [2, COUNT] as const;
const reason = [3, TEXT] as const;
const lifted = [4, FLAG] as const;

/** Each operation's number, and its fields by number and kind. */
const OPERATIONS = {
  setInfo: [2, { name: [1, TEXT], topic: [2, TEXT], visibility: [3, VISIBILITY] }],
  setConfig: [
    3,
    {
      slowModeEnabled: [1, FLAG],
      slowModeDuration: [2, COUNT],
      subscriberOnly: [3, FLAG],
      followerOnly: [4, FLAG],
      emoteOnly: [5, FLAG],
      capacity: [6, COUNT],
    },
  ],
  setTeams: [12, { teams: [1, TEXTS] }],
  joinTeam: [13, { team: [1, TEXT] }],
  leaveTeam: [14, {}],
  addScore: [15, { points: [1, COUNT], user: [2, TEXT] }],
  resetScores: [20, {}],
  setRole: [21, { user, role: [2, ROLE] }],
  kick: [22, { user, reason: [2, TEXT] }],
  ban: [23, { user, until, reason, lifted }],
  mute: [24, { user, until, reason, lifted }],
  invite: [25, { user, withdrawn: [2, FLAG] }],
  setBadges: [26, { user, badges: [2, TEXTS], color: [3, TEXT] }],
  setPermissions: [27, { role: [1, ROLE], capabilities: [2, CAPABILITIES], reset: [3, FLAG] }],
  requestFriend: [30, { user }],
  answerFriend: [31, { user, accepted: [2, FLAG] }],
  removeFriend: [32, { user }],
  blockUser: [33, { user, lifted: [2, FLAG] }],
  followUser: [34, { user, removed: [2, FLAG] }],
  setStatus: [35, { availability: [1, AVAILABILITY], text: [2, TEXT], until: [3, COUNT] }],
} as const;

type Operations = typeof OPERATIONS;
type Kind =
  | typeof TEXT
  | typeof TEXTS
  | typeof COUNT
  | typeof FLAG
  | readonly string[]
  | { readonly each: readonly string[] };
type Value<K> = K extends typeof TEXT
  ? string
  : K extends typeof TEXTS
    ? readonly string[]
    : K extends typeof COUNT
      ? number
      : K extends typeof FLAG
        ? boolean
        : K extends readonly (infer Name)[]
          ? Name
          : K extends { readonly each: readonly (infer Name)[] }
            ? readonly Name[]
            : never;
type Fields<F> = {
  readonly [Name in keyof F]?: F[Name] extends readonly [number, infer K] ? Value<K> : never;
};

/**
 * An operation, named by its one key: `{ ban: { user: "bob", until: 0, reason: "spam" } }`. What is left out is empty,
 * zero or false; of `setInfo` and `setConfig` it stays as it is. Times are in milliseconds since 1970, and 0 is for ever.
 */
export type Operation = {
  readonly [Name in keyof Operations]: { readonly [Key in Name]: Fields<Operations[Name][1]> };
}[keyof Operations];

/** The operation's bytes, as protobuf. */
export function encodeOperation(operation: Operation): Uint8Array {
  const [name, values] = Object.entries(operation)[0] as [keyof Operations, Record<string, unknown>];
  const [number, fields] = OPERATIONS[name];
  const body: number[] = [];
  for (const [field, [at, kind]] of Object.entries(fields as Record<string, readonly [number, Kind]>)) {
    if (values[field] !== undefined) write(body, at, kind, values[field]);
  }
  const bytes: number[] = [];
  writeBytes(bytes, number, body);
  return Uint8Array.from(bytes);
}

function write(out: number[], at: number, kind: Kind, value: unknown): void {
  if (kind === TEXT) writeBytes(out, at, new TextEncoder().encode(value as string));
  else if (kind === TEXTS) for (const text of value as string[]) write(out, at, TEXT, text);
  else if (kind === COUNT || kind === FLAG) writeNumber(out, at * 8, Number(value));
  else if ("each" in kind) for (const name of value as string[]) write(out, at, kind.each, name);
  else writeNumber(out, at * 8, kind.indexOf(value as string));
}

function writeNumber(out: number[], tag: number, value: number): void {
  varint(out, tag);
  varint(out, value);
}

function writeBytes(out: number[], at: number, bytes: ArrayLike<number>): void {
  writeNumber(out, at * 8 + 2, bytes.length);
  for (let index = 0; index < bytes.length; index++) out.push(bytes[index] as number);
}

/** Beyond 32 bits too, where shifting would not do. */
function varint(out: number[], number: number): void {
  let rest = number;
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
}
