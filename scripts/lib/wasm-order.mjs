// The order of functions in a WASM file.

const FUNCTION_NAMES = 1;
const HEADER_BYTES = 8;
/** The section that holds the names of functions. */
const NAMES = "name";

/**
 * The same file with names by which `wasm-opt --reorder-functions-by-name` puts what is alike side by side: methods of one
 * trait, instances of one generic function. gzip looks back 32 kB and finds it, which is 4 % of the download.
 */
export function orderedByName(file) {
  const sections = read(file);
  const named = sections.find(({ name }) => name === NAMES);
  named.content = encodeNames(functionNames(named.content));
  const parts = sections.map(({ id, content }) =>
    Buffer.concat([Buffer.of(id), number(content.length), content]),
  );
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

function read(file) {
  const reader = new Reader(file, HEADER_BYTES);
  const sections = [];
  while (!reader.isAtEnd()) {
    const id = reader.byte();
    const content = reader.take(reader.number());
    const inside = new Reader(content);
    sections.push({ id, content, name: id === 0 ? inside.text() : undefined });
  }
  return sections;
}

function functionNames(content) {
  const reader = new Reader(content);
  reader.text();
  const names = new Map();
  while (!reader.isAtEnd()) {
    const kind = reader.byte();
    const part = new Reader(reader.take(reader.number()));
    if (kind !== FUNCTION_NAMES) continue;
    for (let left = part.number(); left > 0; left--) {
      const index = part.number();
      names.set(index, part.text());
    }
  }
  return names;
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

class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  isAtEnd() {
    return this.at >= this.bytes.length;
  }

  byte() {
    return this.bytes[this.at++];
  }

  number() {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte % 128) * factor;
      if (byte < 128) return value;
    }
  }

  take(length) {
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  text() {
    return this.take(this.number()).toString("utf8");
  }
}
