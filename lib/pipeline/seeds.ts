import { randomInt } from 'node:crypto';
import { invalidOption } from '../errors/index.js';

/** Random seeds stay within 32 bits, as people are used to from A1111. */
export function resolveSeed(seed: number, random: () => number = () => randomInt(2 ** 32)): number {
  return seed === -1 ? random() : seed;
}

/** Seeds of a batch: seed, seed + 1, … */
export function batchSeeds(seed: number, batchSize: number, field = 'seed'): number[] {
  const most = Number.MAX_SAFE_INTEGER - batchSize + 1;
  if (seed > most) throw invalidOption(field, seed, `at most ${String(most)} for ${String(batchSize)} images`);
  return Array.from({ length: batchSize }, (_, index) => seed + index);
}
