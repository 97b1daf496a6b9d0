import type { RoomRow, Tier } from "enfilade";
import { useConnection, useEnfilade, useRoom, useRooms } from "enfilade/react";
import { useSyncExternalStore } from "react";
import { roomHref } from "../router";
import { session } from "../session";
import { preciseTime, useSeconds } from "../time";
import { TIER_NAMES, TIERS, TierDoor, TierPill } from "../ui/Tier";
import { bytes } from "./bytes";
import type { TierLog } from "./tierLog";

/** What the client holds of every room, and why: for those who want to watch it at work. */
export function Internals({ roomId }: { roomId: string | null }) {
  const state = session.getSnapshot();
  return (
    <div className="internals">
      <Doors />
      {roomId !== null && <ThisRoom id={roomId} />}
      <Held current={roomId} />
      <Connection />
      {state.stage === "open" && <Walk log={state.tierLog} />}
    </div>
  );
}

const CONTRACTS: Record<Tier, string> = {
  active: "everything, at once",
  background: "counts, once a second",
  cached: "a snapshot",
  unloaded: "its name",
};

/** The enfilade: how many rooms stand behind each door. */
function Doors() {
  const rooms = useRooms();
  return (
    <ol className="doors" aria-label="Rooms in each tier">
      {TIERS.map((tier) => (
        <li key={tier} data-tier={tier}>
          <TierDoor tier={tier} />
          <strong>{rooms.filter((row) => row.tier === tier).length}</strong>
          <span className="door-name">{TIER_NAMES[tier]}</span>
          <span className="door-contract">{CONTRACTS[tier]}</span>
        </li>
      ))}
    </ol>
  );
}

function ThisRoom({ id }: { id: string }) {
  const room = useRoom(id, { active: false });
  const facts: readonly [string, string][] = [
    ["Epoch", room.epoch === 0 ? "–" : String(room.epoch)],
    ["Seq", String(room.seq)],
    ["Messages", `${room.messages.filter((one) => one.ordinal !== undefined).length} held of ${room.head}`],
    ["Synced", room.error ? `${room.synced}: ${room.error.codeName}` : room.synced],
    ["Bytes in", bytes(room.bytesIn)],
    ["Bytes out", bytes(room.bytesOut)],
    ["Unread", room.mentions > 0 ? `${room.unread}, ${room.mentions} with your name` : String(room.unread)],
    ["Members", String(room.memberCount)],
  ];
  return (
    <section className="panel" aria-labelledby="internals-room">
      <h3 id="internals-room">This room</h3>
      <p className="why" data-testid="tier-reason">
        <TierPill tier={room.tier} />
        <span>{room.reason.text}</span>
      </p>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd data-fact={name}>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Held({ current }: { current: string | null }) {
  const rooms = useRooms();
  const held = [...rooms].sort((a, b) => TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier));
  if (held.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="internals-rooms">
      <h3 id="internals-rooms">All rooms</h3>
      <ul className="held">
        {held.map((row) => (
          <HeldRow key={row.id} row={row} current={row.id === current} />
        ))}
      </ul>
    </section>
  );
}

function HeldRow({ row, current }: { row: RoomRow; current: boolean }) {
  return (
    <li data-held={row.id} data-tier={row.tier}>
      <a href={roomHref(row.id)} aria-current={current ? "page" : undefined}>
        {row.name || row.id}
      </a>
      <TierPill tier={row.tier} />
      <span className="why">{row.reason.text}</span>
    </li>
  );
}

/** What has changed its tier, newest first. */
function Walk({ log }: { log: TierLog }) {
  const steps = useSyncExternalStore(log.subscribe, log.getSnapshot);
  return (
    <section className="panel" aria-labelledby="internals-walk">
      <h3 id="internals-walk">What happened</h3>
      {steps.length === 0 && <p className="aside">Walk into a room and out again, and watch it here.</p>}
      <ol className="walk">
        {steps.map((step) => (
          <li key={step.key}>
            <time dateTime={new Date(step.at).toISOString()}>{preciseTime(step.at)}</time>
            <span>
              <strong>{step.name}</strong>
              <span className="from-to">
                <TierDoor tier={step.from} /> {TIER_NAMES[step.from]} <span aria-hidden="true">→</span>
                <span className="visually-hidden">to</span>
                <TierDoor tier={step.to} /> {TIER_NAMES[step.to]}
              </span>
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Connection() {
  const client = useEnfilade();
  const { state, attempt, error } = useConnection();
  useSeconds();
  const { bytesIn, bytesOut, framesIn, framesOut } = client.traffic();
  return (
    <section className="panel" aria-labelledby="internals-connection">
      <h3 id="internals-connection">Connection</h3>
      <dl className="facts">
        <Fact name="State" value={attempt > 0 ? `${state}, attempt ${attempt + 1}` : state} />
        <Fact name="Last error" value={error ? `${error.code} ${error.codeName}` : "none"} />
        <Fact name="In" value={`${bytes(bytesIn)} in ${framesIn} frames`} />
        <Fact name="Out" value={`${bytes(bytesOut)} in ${framesOut} frames`} />
      </dl>
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
