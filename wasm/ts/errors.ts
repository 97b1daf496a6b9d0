import { type CodeName, type CodeRow, codes, type Retry } from "./codes.js";

/** Why something failed, as data. */
export interface CodedError {
  /** The registry's number; see {@link codes}. */
  readonly code: number;
  /** The registry's name; `unknown` for numbers of a newer server. */
  readonly codeName: CodeName | "unknown";
  /** A sentence for people. */
  readonly text: string;
  /** What to do about it. */
  readonly retry: Retry;
}

/** Everything that this package throws or reports. */
export class EnfiladeError extends Error implements CodedError {
  readonly code: number;
  readonly codeName: CodeName | "unknown";
  readonly retry: Retry;
  /** Milliseconds after which the same may be tried again, where that is known. */
  readonly retryAfter?: number;

  constructor(error: CodedError, details: { reason?: string; retryAfter?: number; cause?: unknown } = {}) {
    super(details.reason || error.text, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "EnfiladeError";
    this.code = error.code;
    this.codeName = error.codeName;
    this.retry = error.retry;
    if (details.retryAfter) this.retryAfter = details.retryAfter;
  }

  /** The same as `message`. */
  get text(): string {
    return this.message;
  }
}

const byNumber = new Map<number, CodedError>();
for (const [name, row] of Object.entries(codes) as [CodeName, CodeRow][]) {
  byNumber.set(row.code, Object.freeze({ ...row, codeName: name }));
}

/** The registry's row for a number. A number that it lacks gets its retry decision from its range. */
export function codedError(code: number): CodedError {
  return byNumber.get(code) ?? { code, codeName: "unknown", text: `Code ${code}.`, retry: retryOf(code) };
}

/** An error by its name. */
export function errorNamed(name: CodeName, details?: { reason?: string; cause?: unknown }): EnfiladeError {
  return new EnfiladeError(codedError(codes[name].code), details);
}

/** As `Code::retry_of` in proto/src/code.rs. */
function retryOf(code: number): Retry {
  if ((code >= 2000 && code <= 2999) || (code >= 4000 && code <= 4499)) return "later";
  if (code >= 3000 && code <= 3499) return "resync";
  if ((code >= 3500 && code <= 3999) || (code >= 4600 && code <= 4999)) return "new-token";
  return "never";
}

/** An error out of what the core says of it. */
export function refusal(said: {
  readonly code: number;
  readonly reason: string;
  readonly retryAfter?: number;
}): EnfiladeError {
  return new EnfiladeError(codedError(said.code), { reason: said.reason, retryAfter: said.retryAfter ?? 0 });
}
