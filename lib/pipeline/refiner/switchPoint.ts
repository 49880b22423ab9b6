import { invalidOption } from '../../errors/index.js';

/** Noise levels of a run, and those of the model. */
export interface RunLevels {
  /** Decreasing, one for each step and the last. */
  readonly sigmas: Float32Array;
  /** Of the model's 1000 timesteps, ascending. */
  readonly table: Float32Array;
}

/**
 * Steps of a run before its refiner takes over: those that begin at a smaller share than `switchAt`, as A1111 counts
 * (`apply_refiner` of `modules/sd_samplers_common.py`). The share is that of the steps or, with `levels`, that of the
 * model's timesteps that lie above the noise level which a step begins with.
 * @param steps that are really run; of img2img those that its strength leaves.
 * @throws DiffusionError `ERR_INVALID_OPTION` where one of the two would have no step. A1111 leaves the refiner out then.
 */
export function stepsBefore(steps: number, switchAt: number, field: string, levels?: RunLevels): number {
  const shareOf = (step: number): number =>
    levels === undefined ? step / steps : (999 - nearest(levels.table, levels.sigmas[step] ?? 0)) / 1000;
  let before = 0;
  while (before < steps && shareOf(before) < switchAt) before++;
  if (before > 0 && before < steps) return before;
  if (steps < 2) {
    const hint = 'A run with a refiner needs a step for each of the two.';
    throw invalidOption(field, switchAt, `at least 2 steps, of which ${String(steps)} are run`, hint);
  }
  const of = levels === undefined ? `${String(steps)} steps` : `the timesteps of these ${String(steps)} steps`;
  const most = `more than ${String(shareOf(0))} and at most ${String(shareOf(steps - 1))} for ${of}`;
  const hint =
    before === 0
      ? `With ${String(switchAt)} the refiner would do everything: load its checkpoint in place of the model.`
      : 'The refiner would take over after the last step: leave it out, switch earlier, or run more steps.';
  throw invalidOption(field, switchAt, most, hint);
}

/** Place of the level that is next to `sigma`, the lower of two. */
function nearest(table: Float32Array, sigma: number): number {
  let best = 0;
  for (const [place, level] of table.entries())
    if (Math.abs(level - sigma) < Math.abs((table[best] ?? 0) - sigma)) best = place;
  return best;
}
