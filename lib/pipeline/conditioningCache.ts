import { createHash } from 'node:crypto';
import type { NativeConditioning, NativeEncodePromptParams } from '../native/index.js';

interface Entry {
  readonly key: string;
  readonly handle: NativeConditioning;
  users: number;
  /** Out of the cache; disposed when the last user lets go. */
  evicted: boolean;
}

/** A conditioning in use. `release` once; afterwards the handle may be gone. */
export interface Lease {
  readonly handle: NativeConditioning;
  readonly hit: boolean;
  release(): void;
}

/**
 * Encoded prompts of one model, the least recently used dropped first. Handles that a job uses are never disposed
 * under it.
 */
export class ConditioningCache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxBytes: number;
  #bytes = 0;
  #hits = 0;
  #misses = 0;

  /** @param maxBytes 0 keeps nothing. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get stats(): { readonly bytes: number; readonly entries: number; readonly hits: number; readonly misses: number } {
    return { bytes: this.#bytes, entries: this.#entries.size, hits: this.#hits, misses: this.#misses };
  }

  /** The conditioning for these parameters, encoded now when it is not there. */
  async acquire(key: string, encode: () => Promise<NativeConditioning>): Promise<Lease> {
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#hits++;
      this.#entries.delete(key);
      this.#entries.set(key, known);
      return lease(known, true);
    }
    this.#misses++;
    const entry: Entry = { key, handle: await encode(), users: 0, evicted: false };
    const taken = lease(entry, false);
    this.#entries.set(key, entry);
    this.#bytes += entry.handle.bytes;
    for (const oldest of this.#entries.values()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#evict(oldest);
    }
    return taken;
  }

  clear(): void {
    for (const entry of this.#entries.values()) this.#evict(entry);
  }

  #evict(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#bytes -= entry.handle.bytes;
    entry.evicted = true;
    if (entry.users === 0) entry.handle.dispose();
  }
}

function lease(entry: Entry, hit: boolean): Lease {
  entry.users++;
  let released = false;
  return {
    handle: entry.handle,
    hit,
    release() {
      if (released) return;
      released = true;
      entry.users--;
      if (entry.evicted && entry.users === 0) entry.handle.dispose();
    },
  };
}

/**
 * Key made of everything that decides the result. Of the weights only what LoRAs changed: a cache belongs to one model.
 * @param sizeMatters the architecture is conditioned on the picture's size (SDXL).
 * @param weights state of the text encoders' weights; empty: as loaded.
 */
export function conditioningKey(params: NativeEncodePromptParams, sizeMatters: boolean, weights = ''): string {
  const hash = createHash('sha256');
  const size = sizeMatters ? [params.width, params.height] : [];
  hash.update(JSON.stringify([params.prompt, params.clipSkip, params.zeroOutMasked, size, weights]));
  for (const { width, height, channels, data } of params.refImages) {
    hash.update(JSON.stringify([width, height, channels])).update(data);
  }
  return hash.digest('base64');
}
