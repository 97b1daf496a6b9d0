import assert from "node:assert/strict";
import { mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { root } from "./run.mjs";
import { fingerprint, isFresh, remember } from "./stamps.mjs";

const folder = ".cache/stamps-test";
const name = "stamps-test";
const write = (path, text) => writeFileSync(join(root, folder, path), text);

beforeEach(() => {
  mkdirSync(join(root, folder, "src/dist"), { recursive: true });
  write("src/a.rs", "a");
  write("src/b.rs", "b");
});

afterEach(() => {
  rmSync(join(root, folder), { recursive: true, force: true });
  rmSync(join(root, ".cache/stamps", name), { force: true });
});

test("a file that is only touched changes nothing", () => {
  const before = fingerprint([folder]);
  utimesSync(join(root, folder, "src/a.rs"), new Date(), new Date());
  assert.equal(fingerprint([folder]), before);
});

test("a change, a new file, a new name and a file that is gone are each seen", () => {
  const seen = new Set([fingerprint([folder])]);
  write("src/a.rs", "changed");
  seen.add(fingerprint([folder]));
  write("src/c.rs", "");
  seen.add(fingerprint([folder]));
  rmSync(join(root, folder, "src/c.rs"));
  write("src/d.rs", "");
  seen.add(fingerprint([folder]));
  rmSync(join(root, folder, "src/b.rs"));
  seen.add(fingerprint([folder]));
  assert.equal(seen.size, 5);
});

test("what was made is no input, unless it is named as one", () => {
  const source = fingerprint([folder]);
  const made = fingerprint([`${folder}/src/dist`]);
  write("src/dist/out.js", "out");
  assert.equal(fingerprint([folder]), source);
  assert.notEqual(fingerprint([`${folder}/src/dist`]), made);
});

test("a step is fresh when its inputs are those of last time and its outputs are there", () => {
  const print = fingerprint([folder]);
  const output = join(root, folder, "src/a.rs");
  assert.equal(isFresh(name, print, [output]), false);
  remember(name, print);
  assert.equal(isFresh(name, print, [output]), true);
  assert.equal(isFresh(name, "another", [output]), false);
  assert.equal(isFresh(name, print, [output, join(root, folder, "gone")]), false);
});
