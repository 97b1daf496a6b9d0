import type { Tier } from "enfilade";

export const TIERS: readonly Tier[] = ["active", "background", "cached", "unloaded"];

export const TIER_NAMES: Record<Tier, string> = {
  active: "Active",
  background: "Background",
  cached: "Cached",
  unloaded: "Unloaded",
};

/** A door: wide open, half open, closed, and only drawn. The shape tells the tier without the colour. */
export function TierDoor({ tier }: { tier: Tier }) {
  return (
    <svg className="tier-door" data-tier={tier} viewBox="0 0 12 14" aria-hidden="true">
      <path className="frame" d="M1.5 13V5.5a4.5 4.5 0 0 1 9 0V13z" />
      {tier === "active" && <path className="light" d="M3.3 13V5.7a2.7 2.7 0 0 1 5.4 0V13z" />}
      {tier === "background" && <path className="light" d="M6 3v10H3.3V5.7A2.7 2.7 0 0 1 6 3z" />}
      {tier === "cached" && <circle className="knob" cx="8" cy="8.6" r=".9" />}
    </svg>
  );
}

export function TierPill({ tier }: { tier: Tier }) {
  return (
    <span className="tier-pill" data-tier={tier}>
      <TierDoor tier={tier} />
      {TIER_NAMES[tier]}
    </span>
  );
}
