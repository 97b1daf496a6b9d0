/** Times of the client that the page's address may set, to watch the tiers change without waiting for them. */
const TIMES = ["activeGrace", "backgroundFor", "cachedFor"] as const;

export type ClientTimes = Partial<Record<(typeof TIMES)[number], number>>;

/** `?backgroundFor=2000&cachedFor=4000`: milliseconds. What is not a number is as if it were not there. */
export function clientOptions(search: string): ClientTimes {
  const given = new URLSearchParams(search);
  const options: ClientTimes = {};
  for (const time of TIMES) {
    const value = given.get(time);
    if (value !== null && /^\d{1,9}$/.test(value)) options[time] = Number(value);
  }
  return options;
}
