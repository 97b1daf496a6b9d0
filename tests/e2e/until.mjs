/** How long anything may take to show; a blink on a quiet machine, longer where tests share two cores. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 25;

/** Waits until `probe` gives something truthy, and returns that. Says what it waited for when it never does. */
export async function until(what, probe, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${patience} ms in vain until ${what}`);
    await pause(PAUSE_MS);
  }
}

/** Waits until `probe` gives exactly this, compared as JSON. Shows the last difference when it never does. */
export async function untilEqual(what, expected, probe, patience = PATIENCE_MS) {
  const wanted = JSON.stringify(expected);
  let last;
  try {
    await until(
      what,
      async () => {
        last = JSON.stringify(await probe());
        return last === wanted;
      },
      patience,
    );
  } catch (error) {
    throw new Error(`${error.message}\n  expected ${wanted}\n  found    ${last}`);
  }
}

export function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
