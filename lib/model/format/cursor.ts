import { corrupt } from './errors.js';
import { breathe, type Source } from './source.js';

const windowBytes = 262_144;
/** Small reads between two turns of the event loop. */
const readsPerBreath = 50_000;

/** Reads a file from front to back through a window, so memory does not grow with the header. Little endian. */
export class Cursor {
  readonly #source: Source;
  #window: Buffer = Buffer.alloc(0);
  /** Position of the window in the file. */
  #start = 0;
  #position: number;
  #reads = 0;
  #taken = 0;

  constructor(source: Source, position: number) {
    this.#source = source;
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  /** Bytes handed out by {@link bytes} so far. */
  get taken(): number {
    return this.#taken;
  }

  get remaining(): number {
    return this.#source.size - this.#position;
  }

  /** Offset into the window of the next `length` bytes, which are then there. */
  async #next(length: number, what: string): Promise<number> {
    if (++this.#reads % readsPerBreath === 0) await breathe(this.#source.signal);
    const end = this.#position + length;
    if (this.#position < this.#start || end > this.#start + this.#window.length) {
      const wanted = Math.max(length, Math.min(windowBytes, this.remaining));
      this.#window = await this.#source.read(this.#position, wanted, what);
      this.#start = this.#position;
    }
    const at = this.#position - this.#start;
    this.#position = end;
    return at;
  }

  /** Moves on without reading. */
  skip(length: number, what: string): void {
    if (length > this.remaining) {
      throw corrupt(
        this.#source,
        `it ends inside ${what}: ${String(length)} bytes are needed, ${String(this.remaining)} are there`,
        this.#position,
      );
    }
    this.#position += length;
  }

  async u8(what: string): Promise<number> {
    const at = await this.#next(1, what);
    return this.#window.readUInt8(at);
  }

  async i8(what: string): Promise<number> {
    const at = await this.#next(1, what);
    return this.#window.readInt8(at);
  }

  async u16(what: string): Promise<number> {
    const at = await this.#next(2, what);
    return this.#window.readUInt16LE(at);
  }

  async i16(what: string): Promise<number> {
    const at = await this.#next(2, what);
    return this.#window.readInt16LE(at);
  }

  async u32(what: string): Promise<number> {
    const at = await this.#next(4, what);
    return this.#window.readUInt32LE(at);
  }

  async i32(what: string): Promise<number> {
    const at = await this.#next(4, what);
    return this.#window.readInt32LE(at);
  }

  async f32(what: string): Promise<number> {
    const at = await this.#next(4, what);
    return this.#window.readFloatLE(at);
  }

  async f64(what: string): Promise<number> {
    const at = await this.#next(8, what);
    return this.#window.readDoubleLE(at);
  }

  async u64(what: string): Promise<bigint> {
    const at = await this.#next(8, what);
    return this.#window.readBigUInt64LE(at);
  }

  async i64(what: string): Promise<bigint> {
    const at = await this.#next(8, what);
    return this.#window.readBigInt64LE(at);
  }

  /** A u64 that must be at most `max` (a safe integer). */
  async count(what: string, max: number): Promise<number> {
    const at = this.#position;
    const value = await this.u64(what);
    if (value > BigInt(max))
      throw corrupt(this.#source, `${what} is ${String(value)}, allowed is at most ${String(max)}`, at);
    return Number(value);
  }

  async bytes(length: number, what: string): Promise<Buffer> {
    const at = await this.#next(length, what);
    this.#taken += length;
    return Buffer.from(this.#window.subarray(at, at + length));
  }
}
