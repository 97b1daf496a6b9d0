// `node tests/e2e/run.mjs [PART OF A NAME…]`: every test in a real browser, one line each.
// `node tests/e2e/run.mjs --screenshots DIR`: pictures of every screen, at both sizes and in both themes.

import { mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { Door, Server } from "./server.mjs";
import { DESK, PHONE } from "./sizes.mjs";
import { Window } from "./window.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const artifacts = join(here, "artifacts");

/** A test that takes longer is stuck. */
const TEST_MS = 120_000;
const GALLERY_MS = 600_000;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-dev-shm-usage",
];

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
  args: FLAGS,
});
try {
  const args = process.argv.slice(2);
  if (args[0] === "--screenshots") {
    const { gallery } = await import("./gallery.mjs");
    const folder = args[1] ?? join(artifacts, "gallery");
    for (const size of [DESK, PHONE]) {
      for (const theme of ["light", "dark"]) await scene((t) => gallery(t, folder, size, theme));
    }
    console.log(`pictures are in ${folder}`);
  } else {
    process.exitCode = await runAll(args);
  }
} finally {
  await browser.close();
}

async function runAll(wanted) {
  const files = (await readdir(here)).filter((file) => file.endsWith(".test.mjs")).sort();
  let failed = 0;
  for (const file of files) {
    const { name, test, onlyWhenNamed = false } = await import(`./${file}`);
    const isNamed = wanted.some((part) => `${file} ${name}`.includes(part));
    if (!isNamed && (wanted.length > 0 || onlyWhenNamed)) continue;
    const began = performance.now();
    const error = await scene(test, file).then(
      () => null,
      (reason) => reason,
    );
    const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5);
    console.log(`${error ? "FAILED" : "ok    "} ${seconds} s  ${name}`);
    if (error) {
      failed += 1;
      console.log(`${error.stack}`.replace(/^/gm, "       "));
    }
  }
  if (failed > 0) console.log(`\n${failed} failed; pictures of what was last seen are in ${artifacts}`);
  return failed > 0 ? 1 : 0;
}

/** Gives a test a server of its own and the means to open windows, and clears up after it. */
async function scene(test, file = "scene") {
  const server = await Server.start();
  const windows = [];
  const doors = [];
  const t = {
    server,
    /** A window with a profile of its own: another person, or another device. */
    window: async (options = {}) => {
      const context = await browser.newContext({ viewport: DESK, reducedMotion: "reduce", ...options });
      const window = new Window(await context.newPage());
      windows.push(window);
      return window;
    },
    /** A way to the server that can be shut. */
    door: async () => {
      const door = await Door.before(server);
      doors.push(door);
      return door;
    },
  };
  let timer;
  try {
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`took longer than ${TEST_MS} ms`)),
        file === "scene" ? GALLERY_MS : TEST_MS,
      );
    });
    await Promise.race([test(t), late]);
    const errors = windows.flatMap((window) => window.errors);
    if (errors.length > 0) throw new Error(`a page has complained: ${errors.join("; ")}`);
  } catch (error) {
    await mkdir(artifacts, { recursive: true });
    for (const [at, window] of windows.entries()) {
      const path = join(artifacts, `${file.replace(".test.mjs", "")}-${at}.png`);
      await window.page.screenshot({ path }).catch(() => {});
      if (window.errors.length > 0) error.stack += `\nwindow ${at}: ${window.errors.join("\n")}`;
    }
    error.stack += `\nthe server's log:\n${server.log}`;
    throw error;
  } finally {
    clearTimeout(timer);
    for (const window of windows) await window.page.context().close();
    for (const door of doors) await door.dispose();
    await server.dispose();
  }
}
