// `npm run merge`: merges two timelines of 5,000 messages each, as bytes, in turns: natively, in WASM, by a plain JS Map
// over JSON, and by ywasm. Prints medians and the ratios of the rounds. `npm run merge -- 60` does 60 rounds.

import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { buildTools } from "./build-wasm.mjs";
import { requireToolchain } from "./lib/machine.mjs";
import { root, step, targetDir } from "./lib/run.mjs";

const YWASM = "0.18.3";
const CASES = ["duplicate", "concurrent", "skewed"];
const WARM_UP = 5;
/** Messages that a screen shows: Enfilade orders what is stored, and decodes what is looked at. */
const SHOWN = 50;

const folder = join(root, ".cache/merge");
const binary = join(targetDir, "release/merge");
const bindgen = join(folder, "bindgen");
const rounds = Number(process.argv[2] ?? 30);

try {
  requireToolchain();
  await step("merge", "both sides, and who merges them", async (run) => {
    mkdirSync(folder, { recursive: true });
    await run("cargo", ["build", "--release", "--locked", "-p", "enfilade-merge"]);
    const target = "wasm32-unknown-unknown";
    await run("cargo", [
      ...["build", "--locked", "-p", "enfilade-merge", "--lib"],
      ...["--profile", "wasm", "--target", target],
    ]);
    await buildTools(run);
    await run(join(targetDir, "debug/bindgen"), [
      join(targetDir, target, "wasm/enfilade_merge.wasm"),
      ...["--target", "nodejs", "--no-typescript", "--out-dir", bindgen, "--out-name", "merge"],
    ]);
    // The glue is of the older kind, whatever the folders above say.
    writeFileSync(join(bindgen, "package.json"), '{ "type": "commonjs" }');
    await run("npm", [
      "install",
      "--prefix",
      folder,
      "--no-save",
      "--no-audit",
      "--no-fund",
      `ywasm@${YWASM}`,
    ]);
    await run(binary, ["make", folder]);
  });
} catch (error) {
  if (error.seconds === undefined) console.error(error.message);
  process.exit(1);
}

const require = createRequire(pathToFileURL(join(folder, "index.js")));
const { Timeline, merge_stored, order_stored } = require("./bindgen/merge.js");
const { YDoc, applyUpdate, encodeStateAsUpdate } = require("ywasm");

const native = spawn(binary, ["serve", folder], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: native.stdout })[Symbol.asyncIterator]();
const ask = async (line) => {
  native.stdin.write(`${line}\n`);
  return (await answers.next()).value;
};

const decoder = new TextDecoder();
const byPlace = (a, b) =>
  // What has no place yet comes last.
  (a.seq || Infinity) - (b.seq || Infinity) ||
  a.at - b.at ||
  a.id.client - b.id.client ||
  a.id.counter - b.id.counter;

/** What anybody would write: read both, one of each id, in order. */
function mergeByMap(a, b) {
  const messages = new Map();
  for (const side of [a, b]) {
    for (const message of JSON.parse(decoder.decode(side))) {
      const key = `${message.id.client}-${message.id.counter}`;
      const known = messages.get(key);
      if (known === undefined || known.seq < message.seq) messages.set(key, message);
    }
  }
  return [...messages.values()].sort(byPlace);
}

/** One side as a document of its own, of which the bytes are what the others get. */
function updateOf(json, client) {
  const document = new YDoc({ clientID: client });
  const messages = document.getArray("messages");
  messages.push(JSON.parse(decoder.decode(json)));
  return encodeStateAsUpdate(document);
}

function mergeByYwasm(a, b) {
  const document = new YDoc({ clientID: 99 });
  applyUpdate(document, a, "");
  applyUpdate(document, b, "");
  return document;
}

const timed = (work) => {
  const began = performance.now();
  const result = work();
  const took = performance.now() - began;
  result.free?.();
  return took;
};

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

console.log(`5,000 + 5,000 messages, ${rounds} rounds in turns; ywasm ${YWASM}, Node ${process.version}`);
console.log(`${cpus().length} cores (${cpus()[0]?.model})`);
let failed = false;
for (const name of CASES) {
  const read = (side) => readFileSync(join(folder, `${name}-${side}`));
  const [a, b, jsonA, jsonB] = [read("a.bin"), read("b.bin"), read("a.json"), read("b.json")];
  // The same messages are the same document, which two have.
  const updates = [updateOf(jsonA, 1), name === "duplicate" ? updateOf(jsonA, 1) : updateOf(jsonB, 2)];

  const orders = [
    JSON.parse(await ask(`order ${name}`)),
    [...order_stored(a, b)],
    [...order_stored(b, a)],
    [...Timeline.merge(a, b).order()],
    [...Timeline.merge(b, a).order()],
    mergeByMap(jsonA, jsonB).flatMap((message) => [message.id.client, message.id.counter]),
  ];
  const isOne = orders.every((order) => same(order, orders[0]));
  const documents = [mergeByYwasm(...updates), mergeByYwasm(...updates.toReversed())];
  const [one, other] = documents.map((document) =>
    // Keys of a map have no order there, so ids are compared.
    document
      .getArray("messages")
      .toJson()
      .map(({ id }) => [id.client, id.counter]),
  );

  const contestants = {
    native: async () => Number(await ask(`stored ${name}`)) / 1e6,
    "native, all decoded": async () => Number(await ask(`decoded ${name}`)) / 1e6,
    wasm: async () => timed(() => merge_stored(a, b, SHOWN)),
    "wasm, all decoded": async () => timed(() => Timeline.merge(a, b)),
    map: async () => timed(() => mergeByMap(jsonA, jsonB)),
    ywasm: async () => timed(() => mergeByYwasm(...updates)),
  };
  const names = Object.keys(contestants);
  const times = Object.fromEntries(names.map((contestant) => [contestant, []]));
  for (let round = -WARM_UP; round < rounds; round++) {
    // A B C D, then D C B A: what slows the machine down slows all.
    for (const contestant of round % 2 === 0 ? names : names.toReversed()) {
      const took = await contestants[contestant]();
      if (round >= 0) times[contestant].push(took);
    }
  }
  const ratio = (mine, theirs) => median(times[mine].map((took, round) => took / times[theirs][round]));
  const ratios = [
    ["native / ywasm", ratio("native", "ywasm"), 0.1],
    ["WASM / ywasm", ratio("wasm", "ywasm"), 0.5],
    ["WASM / JS Map", ratio("wasm", "map"), 0.5],
    ["native, all decoded / ywasm", ratio("native, all decoded", "ywasm")],
    ["WASM, all decoded / JS Map", ratio("wasm, all decoded", "map")],
  ];
  console.log(
    `\n${name}: ${orders[0].length / 2} messages, ${a.length + b.length} bytes of protobuf,` +
      ` ${jsonA.length + jsonB.length} of JSON, ${updates[0].length + updates[1].length} of Yjs updates`,
  );
  console.log(
    names.map((contestant) => `${contestant} ${median(times[contestant]).toFixed(2)} ms`).join(", "),
  );
  for (const [what, value, gate] of ratios) {
    const verdict = gate && (value <= gate ? ` (at most ${gate}: met)` : ` (at most ${gate}: MISSED)`);
    failed ||= value > gate;
    console.log(`  ${what}: ${value.toFixed(3)}${verdict ?? ""}`);
  }
  console.log(`  one order, native, in WASM from both sides and by the Map: ${isOne ? "yes" : "NO"}`);
  console.log(
    `  ywasm has one order from both sides: ${same(one, other) ? "yes" : "no"} (${one.length} messages)`,
  );
  failed ||= !isOne;
}
native.stdin.end();
process.exit(failed ? 1 : 0);
