import { afterAll, describe, expect, it } from 'vitest';
import { stepsBefore } from '../../../lib/pipeline/refiner/switchPoint.js';
import { flux, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakeSigmas, until } from '../../support/fakeAddon.js';
import { failure } from '../../support/native.js';

/** SD's noise levels by timestep: sqrt((1 - a) / a) of the scaled linear betas from 0.00085 to 0.012. */
function modelLevels(): Float32Array {
  const table = new Float32Array(1000);
  let product = 1;
  for (let t = 0; t < 1000; t++) {
    const root = Math.sqrt(0.00085) + ((Math.sqrt(0.012) - Math.sqrt(0.00085)) * t) / 999;
    product *= 1 - root * root;
    table[t] = Math.sqrt((1 - product) / product);
  }
  return table;
}

const table = modelLevels();
const [lowest, highest] = [table[0] ?? 0, table[999] ?? 0];

/** Karras et al. 2022, equation 5, rho 7. */
function karras(steps: number): Float32Array {
  const [low, high] = [lowest ** (1 / 7), highest ** (1 / 7)];
  return Float32Array.from({ length: steps + 1 }, (_, i) =>
    i === steps ? 0 : (high + (i / (steps - 1)) * (low - high)) ** 7,
  );
}

/** Evenly over the timesteps, from the last to the first. */
function discrete(steps: number): Float32Array {
  return Float32Array.from({ length: steps + 1 }, (_, i) =>
    i === steps ? 0 : (table[Math.round(999 - (i * 999) / (steps - 1))] ?? 0),
  );
}

/** The formula by itself: the first step that begins where so many of the timesteps lie behind. */
function bySchedule(sigmas: Float32Array, switchAt: number): number {
  const shares = [...sigmas.slice(0, -1)].map((sigma) => {
    const distances = [...table].map((level) => Math.abs(level - sigma));
    return (999 - distances.indexOf(Math.min(...distances))) / 1000;
  });
  const found = shares.findIndex((share) => !(share < switchAt));
  return found < 0 ? shares.length : found;
}

describe('where a refiner takes over, by timesteps', () => {
  it.each([8, 20, 30, 60])('%d steps: as the formula says, with any schedule and part of it', (steps) => {
    const differs = new Set<number>();
    for (const whole of [karras(steps), discrete(steps)])
      for (const skipped of [0, Math.floor(steps / 3)])
        for (const switchAt of [0.05, 0.2, 0.5, 0.8, 0.9]) {
          const sigmas = whole.slice(skipped);
          const run = sigmas.length - 1;
          const expected = bySchedule(sigmas, switchAt);
          const ours = (): number => stepsBefore(run, switchAt, 'switchAt', { sigmas, table });
          if (expected === 0 || expected === run) expect(ours).toThrow(/"switchAt"/);
          else {
            expect(ours()).toBe(expected);
            differs.add(expected - Math.ceil(switchAt * run));
          }
        }
    // Otherwise it would be the share of the steps.
    expect(differs.size).toBeGreaterThan(1);
  });

  it('Karras spends its steps late: half of the timesteps are done before half of the steps', () => {
    const sigmas = karras(20);
    expect(stepsBefore(20, 0.5, 'f', { sigmas, table })).toBeLessThan(stepsBefore(20, 0.5, 'f'));
    const even = discrete(20);
    expect(Math.abs(stepsBefore(20, 0.5, 'f', { sigmas: even, table }) - 10)).toBeLessThanOrEqual(1);
  });

  it('what leaves one of the two without a step is refused with the shares that would do', () => {
    const sigmas = discrete(20).slice(12);
    const error = (() => {
      try {
        return stepsBefore(8, 0.5, 'refiner.switchAt', { sigmas, table });
      } catch (thrown) {
        return thrown as { message: string; code: string };
      }
    })() as { message: string; code: string };
    expect(error.code).toBe('ERR_INVALID_OPTION');
    const [, low, high] = /more than ([\d.]+) and at most ([\d.]+)/.exec(error.message) ?? [];
    const at = (share: number): number => stepsBefore(8, share, 'f', { sigmas, table });
    expect(at(Number(low) + 1e-6)).toBe(1);
    expect(at(Number(high))).toBe(7);
    expect(() => at(Number(low))).toThrow(/load its checkpoint in place of the model/);
    expect(() => at(Number(high) + 1e-6)).toThrow(/after the last step/);
  });
});

describe('a request with switchBy', () => {
  const made: TwoModels[] = [];
  afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));
  const request = { prompt: 'x', width: 64, height: 64, steps: 10, seed: 1 };

  // The fake's noise levels of ten steps are the last ten of its thousand.
  it('is planned and run with the steps of the model’s own noise levels', async () => {
    const two = await twoModels();
    made.push(two);
    const refiner = { checkpoint: two.b, switchAt: 0.995, switchBy: 'timesteps' as const };
    const levels = fakeSigmas(1000).slice(0, 1000).reverse();
    const expected = stepsBefore(10, 0.995, 'f', { sigmas: fakeSigmas(10), table: levels });
    const { passes } = await two.model.plan({ ...request, refiner });
    expect(passes.map(({ steps }) => steps)).toEqual([expected, 10 - expected]);
    await two.model.txt2img({ ...request, refiner });
    expect(two.fake.of('sample').map(({ params }) => params.stopAfter)).toEqual([expected, 0]);
    const asked = two.fake.of('sigmas').map(({ params }) => [params.steps, params.schedule]);
    expect(asked.slice(0, 2)).toEqual([
      [1000, 'discrete'],
      [10, 'discrete'],
    ]);
  });

  it('of a hires pass whose model is of another kind and not in memory says what to do; loaded it serves', async () => {
    const two = await twoModels(flux);
    made.push(two);
    const refiner = { checkpoint: two.b, switchAt: 0.995, switchBy: 'timesteps' as const };
    const job = { ...request, hires: { checkpoint: two.b, steps: 10, refiner } };
    const error = await failure(two.model.plan(job));
    expect(error).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED', field: 'hires.refiner.switchBy' });
    expect(error.message).toMatch(/not known before it is in memory\. Load "b-\d+" with runtime\.loadModel/);
    await two.runtime.loadModel({ checkpoint: two.b });
    await until(() => two.runtime.models.length === 2);
    expect((await two.model.plan(job)).passes).toHaveLength(3);
  });

  it('knows two ways to count', async () => {
    const two = await twoModels();
    made.push(two);
    const refiner = { checkpoint: two.b, switchBy: 'sigmas' as never };
    expect(await failure(two.model.txt2img({ ...request, refiner }))).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'refiner.switchBy',
    });
  });
});
