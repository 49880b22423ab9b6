import { invalidOption } from '../../errors/index.js';

/**
 * Steps of a run before its refiner takes over: those that begin at a smaller share than `switchAt`, as A1111 counts
 * (`apply_refiner` of `modules/sd_samplers_common.py`, with "switch by sampling steps").
 * @param steps that are really run; of img2img those that its strength leaves.
 * @throws DiffusionError `ERR_INVALID_OPTION` where one of the two would have no step. A1111 leaves the refiner out then.
 */
export function stepsBefore(steps: number, switchAt: number, field: string): number {
  let before = 0;
  while (before < steps && before / steps < switchAt) before++;
  if (before > 0 && before < steps) return before;
  if (steps < 2) {
    const hint = 'A run with a refiner needs a step for each of the two.';
    throw invalidOption(field, switchAt, `at least 2 steps, of which ${String(steps)} are run`, hint);
  }
  const most = `more than 0 and at most ${String((steps - 1) / steps)} for ${String(steps)} steps`;
  const hint =
    before === 0
      ? 'With 0 the refiner would do everything: load its checkpoint in place of the model.'
      : 'The refiner would take over after the last step: leave it out, switch earlier, or run more steps.';
  throw invalidOption(field, switchAt, most, hint);
}
