// Running other programs: one line of progress a step, everything they print in a log file, shown when they fail.

import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

export const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
export const targetDir = process.env.CARGO_TARGET_DIR ?? join(root, "target");

/** Of a log that is shown: npm says what is wrong first, compilers and tests say it last. */
const SHOWN_FIRST = 15;
const SHOWN_LAST = 60;
/** A step that takes longer hangs. The slowest, a cold release build on two cores, takes a third of it. */
const STEP_LIMIT_SECONDS = 20 * 60;

/** For every program: plain logs, one folder of builds, and no records of half builds where nothing is built twice. */
const ENVIRONMENT = {
  NO_COLOR: "1",
  CARGO_TERM_COLOR: "never",
  TERM: "dumb",
  CARGO_TARGET_DIR: targetDir,
  ...(process.env.CI ? { CARGO_INCREMENTAL: "0" } : {}),
};

/** A step that failed, for a reason that is already in plain words. */
export class Failure extends Error {
  constructor(message, advice) {
    super(message);
    this.advice = advice;
  }
}

/** A step that can't run here and is no failure of the code. */
export class Skipped extends Error {}

const running = new Set();
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    if (running.size === 0) return;
    for (const child of running) killGroup(child, signal);
    process.exitCode = signal === "SIGINT" ? 130 : 143;
    setTimeout(() => process.exit(), 100);
  });
}

/**
 * Does `work` and writes its line: name, what, seconds, and what `work` returns as a note. `work` is given `run`,
 * which runs a program into the step's log, and whose `output()` is that log so far. Throws what `work` throws, after
 * showing the log.
 */
export async function step(name, what, work, say = (text) => process.stdout.write(text)) {
  const logPath = join(root, ".cache/logs", `${name}.log`);
  mkdirSync(join(root, ".cache/logs"), { recursive: true });
  const log = openSync(logPath, "w");
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  say(`${name.padEnd(12)}${what} … `);
  try {
    const run = (program, args, options) => runInto(log, program, args, options);
    run.output = () => readFileSync(logPath, "utf8");
    const note = await work(run);
    say(`${seconds().toFixed(1)} s${note ? ` (${note})` : ""}\n`);
  } catch (error) {
    error.seconds = seconds();
    if (error instanceof Skipped) {
      say(`SKIPPED: ${error.message}\n`);
    } else {
      say(`FAILED after ${seconds().toFixed(1)} s\n${report(error, logPath)}\n`);
    }
    throw error;
  } finally {
    closeSync(log);
  }
}

/** Starts a program and waits for it. Rejects unless it exits with 0. */
function runInto(log, program, args, { env = {}, cwd = root, advice, limit = STEP_LIMIT_SECONDS } = {}) {
  const line = [program, ...args].join(" ");
  writeSync(log, `$ ${line}\n`);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...ENVIRONMENT, ...env },
      stdio: ["ignore", log, log],
      // A group of its own, so that a limit or Ctrl-C ends browsers and servers of tests too.
      detached: true,
    });
    running.add(child);
    const timer = setTimeout(() => {
      killGroup(child, "SIGKILL");
      reject(new Failure(`\`${line}\` did not end within ${limit} s`, advice));
    }, limit * 1000);
    child.on("error", (error) => {
      running.delete(child);
      clearTimeout(timer);
      const missing = error.code === "ENOENT";
      reject(new Failure(missing ? `${program} is not installed` : `${program}: ${error.message}`, advice));
    });
    child.on("exit", (code, signal) => {
      running.delete(child);
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Failure(`\`${line}\` ended with ${signal ?? `exit code ${code}`}`, advice));
    });
  });
}

function killGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It has ended by itself.
  }
}

function report(error, logPath) {
  // Some programs colour what they print whatever they are told.
  const lines = stripVTControlCharacters(readFileSync(logPath, "utf8")).trimEnd().split("\n");
  const cut = lines.length - SHOWN_FIRST - SHOWN_LAST;
  if (cut > 0) lines.splice(SHOWN_FIRST, cut, `… ${cut} lines, see ${relative(root, logPath)} …`);
  const reason = error instanceof Failure ? error.message : error.stack;
  const advice = error.advice ? [`What to do: ${error.advice}`] : [];
  return [`--- ${relative(root, logPath)}`, ...lines, "---", reason, ...advice].join("\n");
}
