import { setTimeout as sleep } from 'node:timers/promises';
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
 * Aborts the change from one set to others, at once and some milliseconds after its start, until one was stopped on its way:
 * with the reason of the abort, and the set before has its digest each time.
 */
export async function expectAbortsToKeep(
  weights: RawWeights,
  held: readonly LoraInput[],
  wanted: (turn: number) => readonly LoraInput[],
  pause: number,
): Promise<void> {
  const before = await weights.digest();
  const isStopped = async (turn: number, after: number | undefined): Promise<boolean> => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const work = errorOf(weights.set(wanted(turn), controller.signal));
    if (after !== undefined) await sleep(after);
    controller.abort(reason);
    const error = await work;
    if (error !== undefined) expect(error).toBe(reason);
    // What came too late is corrected before anything uses the weights.
    await weights.set(held);
    expect(await weights.digest()).toBe(before);
    return error !== undefined;
  };
  expect(await isStopped(0, undefined)).toBe(true);
  let stopped = 0;
  // How long a change takes is not known: sooner or later, and again where none was stopped.
  for (let turn = 1; turn < 5 || (stopped === 0 && turn < 40); turn++)
    if (await isStopped(turn % 8, ((turn - 1) % 4) * pause)) stopped++;
  expect(stopped).toBeGreaterThan(0);
}
