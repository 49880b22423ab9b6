/** A pickle that cannot be used; `at` is the byte in the scanned buffer. */
export class PickleError extends Error {
  readonly at: number;
  /** The buffer ended: with more of the file the same pickle may be fine. */
  readonly cut: boolean;
  constructor(what: string, at: number, cut = false) {
    super(what);
    this.at = at;
    this.cut = cut;
  }
}

/** Reads the arguments of pickle opcodes. Layouts: CPython's Lib/pickletools.py. */
export class PickleReader {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  #take(length: number): number {
    const at = this.at;
    if (length > this.#bytes.length - at)
      throw new PickleError(`the pickle ends where ${String(length)} more bytes are due`, at, true);
    this.at += length;
    return at;
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32LE(this.#take(4));
  }

  /** A u64 length; too large for a number is too large for the buffer as well. */
  u64(): number {
    return Number(this.#bytes.readBigUInt64LE(this.#take(8)));
  }

  f64(): number {
    return this.#bytes.readDoubleBE(this.#take(8));
  }

  skip(length: number): void {
    this.#take(length);
  }

  text(length: number): string {
    const at = this.#take(length);
    return this.#bytes.toString('utf8', at, at + length);
  }

  /** Little-endian two's complement, `length` bytes; null when a number does not hold it exactly. */
  long(length: number): number | null {
    const at = this.#take(length);
    if (length === 0) return 0;
    if (length > 8) return null;
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i] ?? 0);
    const number = Number(BigInt.asIntN(length * 8, value));
    return Number.isSafeInteger(number) ? number : null;
  }

  line(): string {
    const at = this.at;
    const end = this.#bytes.indexOf(0x0a, at);
    if (end === -1) throw new PickleError('the pickle ends inside a line', at, true);
    this.at = end + 1;
    return this.#bytes.toString('utf8', at, end);
  }
}
