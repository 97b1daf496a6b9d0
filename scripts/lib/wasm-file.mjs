// What a WASM file is made of.

const FUNCTION_NAMES = 1;
export const HEADER_BYTES = "\0asm1234".length;

/** Reads one value after the other. */
class Reader {
  constructor(bytes, at = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
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

  text() {
    return this.part(this.number()).toBytes().toString("utf8");
  }

  /** What comes next, of this length, with a reader of its own. */
  part(length) {
    this.at += length;
    return new Reader(this.bytes, this.at - length, this.at);
  }

  /** What has not been read yet. */
  toBytes() {
    return this.bytes.subarray(this.at, this.end);
  }

  *items(read) {
    for (let left = this.number(); left > 0; left--) yield read(this);
  }
}

/** The sections in order: number, size, the bytes, a reader of them, and the name where it has one of its own. */
export function* sections(file) {
  const reader = new Reader(file, HEADER_BYTES);
  while (reader.at < reader.end) {
    const id = reader.byte();
    const size = reader.number();
    const content = reader.part(size);
    yield { id, size, bytes: content.toBytes(), content, name: id === 0 ? content.text() : undefined };
  }
}

/** Indices and names of functions, by the reader of the section that is called "name". */
export function* functionNames(reader) {
  while (reader.at < reader.end) {
    const kind = reader.byte();
    const part = reader.part(reader.number());
    if (kind === FUNCTION_NAMES) yield* part.items((names) => [names.number(), names.text()]);
  }
}

/** One import; whether it is a function. */
export function importsFunction(reader) {
  reader.text();
  reader.text();
  const kind = reader.byte();
  const skipLimits = () => {
    const hasMaximum = reader.byte() % 2 === 1;
    reader.number();
    if (hasMaximum) reader.number();
  };
  if (kind === 0) reader.number();
  else if (kind === 1) reader.byte();
  if (kind === 1 || kind === 2) skipLimits();
  if (kind === 3) reader.at += 2;
  return kind === 0;
}
