import type { NativeSharedMemory } from '../native/index.js';

/** Moves bytes from process to process beside the messages. */
export interface Carrier {
  /** Copies bytes to where the other side finds them, by the number that is returned; null: they must go in a message. */
  put(bytes: Uint8Array): number | null;
  /** Copies bytes that the other side has put. */
  take(place: number, into: Uint8Array): void;
  /** The other side has taken these. */
  freed(places: readonly number[]): void;
  close(): void;
}

/** For systems without shared memory: everything goes in messages. */
export const noCarrier: Carrier = {
  put: () => null,
  take: () => {
    throw new Error('There is no shared memory');
  },
  freed: () => undefined,
  close: () => undefined,
};

/** Blocks begin at multiples of this, bytes. */
const unit = 64;
/** Bytes of the memory that are kept when all blocks are free; the rest goes back to the system. */
const kept = 8 * 2 ** 20;

/**
 * Shared memory in two halves; each side writes in its own and decides alone where. A half takes as much memory as the
 * most that was on its way at one time, and gives it back when nothing is.
 */
export class SharedCarrier implements Carrier {
  readonly #memory: NativeSharedMemory;
  readonly #start: number;
  readonly #end: number;
  /** Blocks on their way: place and length. */
  readonly #used = new Map<number, number>();
  #touched: number;

  constructor(memory: NativeSharedMemory, side: 'parent' | 'engine') {
    const half = Math.floor(memory.bytes / 2 / unit) * unit;
    this.#memory = memory;
    this.#start = side === 'parent' ? 0 : half;
    this.#end = this.#start + half;
    this.#touched = this.#start;
  }

  put(bytes: Uint8Array): number | null {
    const length = Math.ceil(bytes.byteLength / unit) * unit;
    const place = this.#find(length);
    if (place === null) return null;
    this.#memory.write(place, bytes);
    this.#used.set(place, length);
    this.#touched = Math.max(this.#touched, place + length);
    return place;
  }

  take(place: number, into: Uint8Array): void {
    this.#memory.read(place, into);
  }

  freed(places: readonly number[]): void {
    for (const place of places) this.#used.delete(place);
    const keep = this.#start + kept;
    if (this.#used.size > 0 || this.#touched <= keep) return;
    this.#memory.trim(keep, this.#touched - keep);
    this.#touched = keep;
  }

  close(): void {
    this.#memory.close();
  }

  /** The first gap that is long enough; a handful of blocks is on its way at most. */
  #find(length: number): number | null {
    let place = this.#start;
    for (const [used, usedLength] of [...this.#used].sort(([a], [b]) => a - b)) {
      if (used - place >= length) return place;
      place = used + usedLength;
    }
    return this.#end - place >= length ? place : null;
  }
}
