import type { LoraInput } from '../../../lib/weights/index.js';
import { seeded } from './files.js';

/** Random sets: some of the files, random weights from -1 to 1. */
export function randomSets(paths: readonly string[], seed: number): () => LoraInput[] {
  const random = seeded(seed);
  const uniform = (): number => Math.abs(random([1], 0.5).data[0] ?? 0);
  return () =>
    paths.filter(() => uniform() < 0.35).map((path) => ({ path, weight: Math.round(uniform() * 8) / 4 - 1 }));
}
