import type { LoraInput } from '../../../lib/weights/index.js';
import { expect } from 'vitest';
import { seeded } from './files.js';
import type { RawWeights } from './weights.js';

/** Random sets: some of the files, random weights from -1 to 1. */
export function randomSets(paths: readonly string[], seed: number): () => LoraInput[] {
  const random = seeded(seed);
  const uniform = (): number => Math.abs(random([1], 0.5).data[0] ?? 0);
  return () =>
    paths.filter(() => uniform() < 0.35).map((path) => ({ path, weight: Math.round(uniform() * 8) / 4 - 1 }));
}

/** The error that some work ended with; undefined where it did not fail. */
export const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/**
 * Aborts the change from one set to others, at once and 0 to 3 pauses of some milliseconds after its start: at least one is
 * stopped, with the reason of the abort, and the set before has its digest each time.
 */
export async function expectAbortsToKeep(
  weights: RawWeights,
  held: readonly LoraInput[],
  wanted: (turn: number) => readonly LoraInput[],
  pause: number,
): Promise<void> {
  const before = await weights.digest();
  let aborted = 0;
  for (let turn = 0; turn < 5; turn++) {
    const controller = new AbortController();
    const reason = new Error('enough');
    const work = weights.set(wanted(turn), controller.signal);
    if (turn === 0) controller.abort(reason);
    const timer = setTimeout(
      () => {
        controller.abort(reason);
      },
      turn * pause - pause,
    );
    const error = await errorOf(work);
    clearTimeout(timer);
    if (error !== undefined) {
      expect(error).toBe(reason);
      aborted++;
    }
    // What came too late is corrected before anything uses the weights.
    await weights.set(held);
    expect(await weights.digest()).toBe(before);
  }
  expect(aborted).toBeGreaterThan(0);
}
