import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hiresOwnSigmas, hiresSigmas, hiresSteps } from '../../../lib/pipeline/hires/index.js';
import { fakeSigmas } from '../../support/fakeAddon.js';

describe('steps of a second pass', () => {
  it.each([
    // int(4 / 0.6) = 6
    [4, 0.6, { total: 6, skip: 2, steps: 4 }],
    [10, 0.5, { total: 20, skip: 10, steps: 10 }],
    // int(20 / 0.75) = 26
    [20, 0.75, { total: 26, skip: 6, steps: 20 }],
    // int(30 / 0.999) = 30
    [30, 1, { total: 30, skip: 0, steps: 30 }],
    // int(1000 / 0.999) = 1001: the one place where full strength skips a level
    [1000, 1, { total: 1001, skip: 1, steps: 1000 }],
    [1, 0.01, { total: 100, skip: 99, steps: 1 }],
    [20, 0, { total: 0, skip: 0, steps: 0 }],
  ])('%i at %d', (steps, strength, wanted) => {
    expect(hiresSteps(steps, strength)).toEqual(wanted);
  });

  it('are those that were asked for at every strength, and end at 0', () => {
    const cases = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0.01, max: 1, noNaN: true }));
    fc.assert(
      fc.property(cases, ([asked, strength]) => {
        const plan = hiresSteps(asked, strength);
        const all = fakeSigmas(plan.total);
        const levels = hiresSigmas(all, plan);
        expect(levels).toHaveLength(asked + 1);
        expect(levels).toEqual(all.slice(plan.total - asked));
        expect(levels.at(-1)).toBe(0);
        // The part of the schedule that is run is the strength, to within a step.
        expect(Math.abs(plan.steps / plan.total - Math.min(strength, 0.999))).toBeLessThan(1 / plan.total);
      }),
    );
  });

  it('are refused when the schedule would be too long', () => {
    const error = expect.objectContaining({ code: 'ERR_INVALID_OPTION', field: 'hires.steps' });
    expect(hiresSteps(10, 0.001).total).toBe(10_000);
    expect(() => hiresSteps(11, 0.001)).toThrow(error);
    expect(() => hiresSteps(11, 0.001)).toThrow(/at most 10 at/);
    expect(() => hiresSteps(1, 1e-300)).toThrow(error);
  });

  it('with levels of the own are cut as in img2img', () => {
    const levels = fakeSigmas(10);
    expect(hiresOwnSigmas(levels, 1)).toEqual(levels);
    // int(10 * 0.45) + 1 steps
    expect(hiresOwnSigmas(levels, 0.45)).toEqual(levels.slice(5));
    expect(hiresOwnSigmas(levels, 0)).toEqual(Float32Array.of(0));
  });
});
