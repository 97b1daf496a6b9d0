// The order of functions in a WASM file.

import { functionNames, HEADER_BYTES, sections } from "./wasm-file.mjs";

const FUNCTION_NAMES = 1;
/** The section that holds the names of functions. */
const NAMES = "name";

/**
 * The same file with names by which `wasm-opt --reorder-functions-by-name` puts what is alike side by side: methods of one
 * trait, instances of one generic function. gzip looks back 32 kB and finds it, which is 4 % of the download.
 */
export function orderedByName(file) {
  const parts = [...sections(file)].map(({ id, bytes, content, name }) => {
    const kept = name === NAMES ? encodeNames(functionNames(content)) : bytes;
    return Buffer.concat([Buffer.of(id), number(kept.length), kept]);
  });
  return Buffer.concat([file.subarray(0, HEADER_BYTES), ...parts]);
}

/** Without hashes, and without the crates' disambiguators. */
function plain(name) {
  return name.replace(/::h[0-9a-f]{16}(\[\d+\])?$/, "").replace(/\[[0-9a-f]{16}\]/g, "");
}

function encodeNames(names) {
  const seen = new Map();
  const rows = [...names].map(([index, name]) => {
    const method = /^<(.*) as ([\w:]+).*>::(\w+)/.exec(plain(name));
    const key = method ? `${method[2]}::${method[3]}|${method[1]}` : plain(name).replace(/^<+/, "");
    const before = seen.get(key) ?? 0;
    seen.set(key, before + 1);
    const text = Buffer.from(`${key}|${String(before).padStart(6, "0")}`);
    return Buffer.concat([number(index), number(text.length), text]);
  });
  const table = Buffer.concat([number(rows.length), ...rows]);
  const title = Buffer.from(NAMES);
  return Buffer.concat([number(title.length), title, Buffer.of(FUNCTION_NAMES), number(table.length), table]);
}

function number(value) {
  const bytes = [];
  let left = value;
  do {
    const byte = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? byte + 128 : byte);
  } while (left > 0);
  return Buffer.from(bytes);
}
