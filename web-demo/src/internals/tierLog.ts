import type { Client, RoomRow, Tier } from "enfilade";
import { createStore } from "../store";

/** One walk of a room from a tier to another. */
export interface TierStep {
  key: number;
  at: number;
  roomId: string;
  name: string;
  from: Tier;
  to: Tier;
  why: string;
}

export interface TierLog {
  subscribe: (listener: () => void) => () => void;
  getSnapshot: () => readonly TierStep[];
  dispose: () => void;
}

/** Steps that the panel shows; what is older is of no use to who watches. */
const STEPS = 40;

/** Writes down each change of a room's tier, the newest first, whether the panel is open or not. */
export function watchTiers(client: Client): TierLog {
  const store = createStore<readonly TierStep[]>([]);
  const tiers = new Map<string, Tier>();
  let key = 0;
  const look = () => {
    const steps: TierStep[] = [];
    for (const row of client.rooms.getSnapshot()) {
      const from = tiers.get(row.id) ?? "unloaded";
      if (from !== row.tier) steps.push(step(row, from, key++));
      tiers.set(row.id, row.tier);
    }
    if (steps.length > 0) store.set([...steps.reverse(), ...store.getSnapshot()].slice(0, STEPS));
  };
  look();
  const dispose = client.rooms.subscribe(look);
  return { subscribe: store.subscribe, getSnapshot: store.getSnapshot, dispose };
}

function step(row: RoomRow, from: Tier, key: number): TierStep {
  const { id: roomId, name, tier: to, reason } = row;
  return { key, at: Date.now(), roomId, name: name || roomId, from, to, why: reason.text };
}
