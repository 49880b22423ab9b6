import { limits } from './types.js';

/** A mistake in JSON text; `at` is the byte in the scanned buffer. */
export class JsonError extends Error {
  readonly at: number;
  constructor(what: string, at: number) {
    super(what);
    this.at = at;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true });
const quoteMark = 0x22;
const backslash = 0x5c;

/**
 * Pull scanner over JSON bytes (RFC 8259). A header of 100 MB of hostile JSON costs no more memory than its own bytes,
 * which cannot be said of `JSON.parse`; integers are checked exactly and errors carry a byte offset.
 */
export class JsonScanner {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get at(): number {
    return this.#at;
  }

  /** The next byte that is not white space, or undefined at the end. */
  peek(): number | undefined {
    for (; ; this.#at++) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
    }
  }

  /** Takes one structural character if it is next. */
  take(character: string): boolean {
    if (this.peek() !== character.charCodeAt(0)) return false;
    this.#at++;
    return true;
  }

  expect(character: string, where: string): void {
    if (!this.take(character))
      throw new JsonError(`expected "${character}" ${where}, found ${this.#found()}`, this.#at);
  }

  #found(): string {
    const byte = this.peek();
    if (byte === undefined) return 'the end';
    return byte > 0x20 && byte < 0x7f
      ? `"${String.fromCharCode(byte)}"`
      : `byte 0x${byte.toString(16).padStart(2, '0')}`;
  }

  string(what: string, maxBytes = Infinity): string {
    this.expect('"', `before ${what}`);
    const start = this.#at - 1;
    const plain = this.#plainString(maxBytes);
    if (plain !== undefined) return plain;
    let end = start;
    for (;;) {
      end = this.#bytes.indexOf(quoteMark, end + 1);
      if (end === -1) throw new JsonError(`${what} has no closing quote`, start);
      let slashes = 0;
      while (this.#bytes[end - 1 - slashes] === backslash) slashes++;
      if (slashes % 2 === 0) break;
    }
    if (end - start - 1 > maxBytes)
      throw new JsonError(`${what} is ${String(end - start - 1)} bytes long, more than ${String(maxBytes)}`, start);
    this.#at = end + 1;
    try {
      return String(JSON.parse(decoder.decode(this.#bytes.subarray(start, end + 1))));
    } catch {
      throw new JsonError(`${what} is not a valid UTF-8 JSON string`, start);
    }
  }

  /** The rest of a short string of printable ASCII without escapes, as nearly all are; else undefined, nothing taken. */
  #plainString(maxBytes: number): string | undefined {
    const start = this.#at;
    const last = start + Math.min(maxBytes, 512);
    for (let at = start; at <= last; at++) {
      const byte = this.#bytes[at] ?? 0;
      if (byte === quoteMark) {
        this.#at = at + 1;
        return this.#bytes.toString('latin1', start, at);
      }
      if (byte < 0x20 || byte > 0x7e || byte === backslash) return undefined;
    }
    return undefined;
  }

  #token(): string {
    this.peek();
    const start = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at];
      const plain =
        byte !== undefined &&
        ((byte >= 0x30 && byte <= 0x39) ||
          (byte >= 0x61 && byte <= 0x7a) ||
          byte === 0x2b ||
          byte === 0x2d ||
          byte === 0x2e ||
          byte === 0x45);
      if (!plain || this.#at - start >= 400) break;
      this.#at++;
    }
    return this.#bytes.toString('latin1', start, this.#at);
  }

  /** An integer of up to 15 digits before a comma or bracket; else undefined, nothing taken. */
  #shortInteger(): number | undefined {
    const start = this.#at;
    let value = 0;
    for (let at = start; at <= start + 15; at++) {
      const byte = this.#bytes[at] ?? 0;
      if (byte < 0x30 || byte > 0x39) {
        const ends = byte === 0x2c || byte === 0x5d;
        const leadingZero = at - start > 1 && this.#bytes[start] === 0x30;
        if (!ends || at === start || leadingZero) return undefined;
        this.#at = at;
        return value;
      }
      value = value * 10 + byte - 0x30;
    }
    return undefined;
  }

  /** A non-negative integer that a number holds exactly. */
  integer(what: string): number {
    this.peek();
    const start = this.#at;
    const short = this.#shortInteger();
    if (short !== undefined) return short;
    const token = this.#token();
    if (!/^(?:0|[1-9][0-9]*)$/.test(token)) {
      const shown = token === '' ? this.#found() : token.slice(0, 40);
      throw new JsonError(`${what} is ${shown}, not a non-negative integer`, start);
    }
    const value = Number(token);
    if (!Number.isSafeInteger(value))
      throw new JsonError(`${what} is ${token.slice(0, 40)}, larger than any file`, start);
    return value;
  }

  /** Any value: scalars as they are, arrays and objects as their JSON text. */
  value(what: string): string | number | boolean | null {
    const next = this.peek();
    if (next === quoteMark) return this.string(what);
    const start = this.#at;
    if (next === 0x7b || next === 0x5b) {
      this.#skip(what, 0);
      return this.#bytes.toString('utf8', start, this.#at);
    }
    const token = this.#token();
    try {
      const value: unknown = JSON.parse(token);
      if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
    } catch {
      // Reported below.
    }
    throw new JsonError(`${what} is not a JSON value`, start);
  }

  #skip(what: string, depth: number): void {
    if (depth > limits.jsonDepth)
      throw new JsonError(`${what} is nested deeper than ${String(limits.jsonDepth)} levels`, this.#at);
    if (this.take('{')) {
      if (this.take('}')) return;
      do {
        this.string(what);
        this.expect(':', `in ${what}`);
        this.#skip(what, depth + 1);
      } while (this.take(','));
      this.expect('}', `at the end of ${what}`);
    } else if (this.take('[')) {
      if (this.take(']')) return;
      do this.#skip(what, depth + 1);
      while (this.take(','));
      this.expect(']', `at the end of ${what}`);
    } else {
      this.value(what);
    }
  }
}
