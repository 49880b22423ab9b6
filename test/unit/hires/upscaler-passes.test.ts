import { afterAll, describe, expect, it } from 'vitest';
import type { NativeUpscaleSize } from '../../../lib/native/index.js';
import type { FakeOptions } from '../../support/fakeAddon.js';
import { heard, history, twoModels, type TwoModels, weighing } from '../../support/fakeCheckpoints.js';
import { fakeFile } from '../../support/fakeFiles.js';
import { failure } from '../../support/native.js';

const mib = 2 ** 20;
const gib = 1024 * mib;
const request = { prompt: 'x', width: 64, height: 64, steps: 10, seed: 5 };
const file = fakeFile('esrgan', ['upscaler']);
const upscaler = { file, tileSize: 256 };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

async function models(enlarging: FakeOptions['upscaler'], memoryLimit: number, each = 100): Promise<TwoModels> {
  const heavy = weighing(each);
  const two = await twoModels(heavy, {
    infoOf: () => heavy,
    runtime: { memoryLimit },
    ...(enlarging === undefined ? {} : { upscaler: enlarging }),
  });
  made.push(two);
  return two;
}

const graph = ({ width, height }: NativeUpscaleSize): number => width * height * 256 * 1024;
const plainName = (name: string): string => name.replace(/-\d+$/, '');

describe('an upscaler model after a refiner', () => {
  it('is checked before the first step, weights and graphs', async () => {
    const large = await models({ graph: (size) => 16 * graph(size) }, 8 * gib);
    const job = { ...request, refiner: { checkpoint: large.b }, hires: { upscaler } };
    const error = await failure(large.model.txt2img(job));
    expect(error.message).toMatch(/^The hires pass with "a-\d+" needs 16\.\d+ GiB .*: upscaler model 16/);
    expect(history(large, ['loadModel', 'sample'])).toEqual(['loadModel a']);
    expect((await large.model.estimate(job)).fits).toBe(false);
    const heavy = await models({ bytes: 9 * gib }, 8 * gib);
    const refused = await failure(heavy.model.txt2img({ ...job, refiner: { checkpoint: heavy.b } }));
    expect(refused.message).toContain('Loading the upscaler needs 9.00 GiB');
    expect(history(heavy, ['loadModel', 'sample'])).toEqual(['loadModel a']);
  });

  it('is read when its pass begins; who leaves is what the plan says', async () => {
    const two = await models({ bytes: 1500 * mib }, 7000 * mib, 1000 * mib);
    const { events, onModel } = heard();
    const hires = { steps: 4, upscaler, refiner: { checkpoint: two.b, switchAt: 0.5 } };
    const job = { ...request, refiner: { checkpoint: two.b }, hires, onModel };
    const plan = await two.model.plan(job);
    expect(plan.unloads.map(plainName)).toEqual(['b', 'a']);
    expect(plan.passes.map(({ loaded }) => loaded)).toEqual([true, false, true, false]);
    expect(plan.explain()).toContain(', read from disk)');
    await two.model.txt2img(job);
    expect(events).toEqual([
      ...['load b', 'switch b', 'unload b', 'load esrgan', 'switch a'],
      ...['unload a', 'load b', 'switch b'],
    ]);
    // The refiner and the upscaler are there now; the least lately used goes first.
    events.splice(0);
    const again = await two.model.plan(job);
    await two.model.txt2img(job);
    const left = events.filter((event) => event.startsWith('unload')).map((event) => event.slice('unload '.length));
    expect(again.unloads.map(plainName)).toEqual(left);
    expect(left[0]).toBe('esrgan');
  });

  it('that is there already is not read again', async () => {
    const two = await models({ bytes: 1500 * mib }, 16 * gib);
    const job = { ...request, hires: { upscaler } };
    expect((await two.model.plan(job)).explain()).toContain(', read from disk)');
    await two.model.txt2img(job);
    expect((await two.model.plan(job)).explain()).toContain(', in memory)');
  });
});

describe('an upscaler model and weights of several models', () => {
  it('are counted where they are there together', async () => {
    const two = await models({ bytes: gib, graph }, 16 * gib, 300 * mib);
    const all = { ...request, hires: { upscaler, checkpoint: two.b } };
    const own = await two.model.estimate({ ...request, hires: { upscaler } });
    const second = await two.model.estimate(all);
    expect(own.weights).toBe(900 * mib + gib);
    expect(second.weights).toBe(own.weights);
    // Both models and the upscaler stay, since there is room.
    expect((await two.model.plan(all)).peak).toBe(second.job + 1800 * mib + gib);
    const { unloads, peak } = await two.model.plan({ ...request, hires: { ...all.hires, modules: 'same' } });
    expect(unloads).toEqual([]);
    const borrowing = await two.model.estimate({ ...request, hires: { ...all.hires, modules: 'same' } });
    expect(borrowing.upscaler).toBe(second.upscaler);
    expect(borrowing.weights).toBe(peak - borrowing.job);
  });

  it('of which some are borrowed: enlarging has its memory', async () => {
    const two = await models({ graph }, 16 * gib);
    const hires = { upscaler, checkpoint: two.b, modules: 'same' as const };
    const { upscaler: wanted } = await two.model.estimate({ ...request, hires });
    expect(wanted).toBeGreaterThan(gib);
    await two.model.txt2img({ ...request, hires });
    expect(two.fake.of('upscale')).toHaveLength(1);
    expect(two.fake.of('upscale')[0]?.params.memoryBudget).toBeGreaterThan(wanted);
  });
});
