import { afterAll, describe, expect, it } from 'vitest';
import type { ProgressEvent } from '../../../lib/index.js';
import type { NativeUpscaleSize } from '../../../lib/native/index.js';
import type { FakeOptions } from '../../support/fakeAddon.js';
import { heard, history, twoModels, type TwoModels, weighing } from '../../support/fakeCheckpoints.js';
import { fakeFile } from '../../support/fakeFiles.js';
import { failure } from '../../support/native.js';
import { until } from '../../support/fakeAddon.js';

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

describe('where there is room for an upscaler model or the models of its pass, not for both', () => {
  const weights = 1000 * mib;
  const limit = 5000 * mib;

  it('all pictures are enlarged first, then the models come back; the plan says so', async () => {
    const two = await models({ bytes: 3000 * mib }, limit, weights);
    const { events, onModel } = heard();
    const job = { ...request, batchSize: 2, hires: { steps: 4, upscaler }, onModel };
    const plan = await two.model.plan(job);
    expect(plan.unloads.map(plainName)).toEqual(['a', 'esrgan']);
    expect(plan.passes.map(({ loaded }) => loaded)).toEqual([true, false]);
    expect(plan.explain()).toContain('all are enlarged before the weights come');
    expect(plan.peak).toBeLessThan(limit);
    expect((await two.model.estimate(job)).fits).toBe(true);
    const progress: ProgressEvent[] = [];
    const { images } = await two.model.txt2img({ ...job, onProgress: (event) => void progress.push(event) });
    expect(images.map(({ seed }) => seed)).toEqual([5, 6]);
    expect(events).toEqual(['unload a', 'load esrgan', 'unload esrgan', 'load a']);
    expect(history(two, ['loadModel', 'sample', 'upscale', 'encodeImages'])).toEqual([
      ...['loadModel a', '2 x sample a', '2 x upscale ?', 'loadModel a'],
      ...['encodeImages a', 'sample a', 'encodeImages a', 'sample a'],
    ]);
    // The same progress as any other job.
    const fractions = progress.map(({ fraction }) => fraction);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.filter((fraction) => fraction === 1).length).toBeLessThanOrEqual(2);
    expect(progress.at(-1)).toMatchObject({ phase: 'decode', image: 2, fraction: 1 });
  });

  it('the second pass begins with the same pixels as with room for both', async () => {
    const starts: unknown[] = [];
    for (const memoryLimit of [limit, 64 * gib]) {
      const two = await models({ bytes: 3000 * mib }, memoryLimit, weights);
      await two.model.txt2img({ ...request, batchSize: 2, hires: { upscaler } });
      expect(two.fake.of('loadModel')).toHaveLength(memoryLimit === limit ? 2 : 1);
      starts.push(two.fake.of('encodeImages').map(({ params }) => params.images));
    }
    expect(starts[0]).toEqual(starts[1]);
  });

  it('the graphs of enlarging count as well', async () => {
    const two = await models({ bytes: mib, graph: () => 3000 * mib }, limit, weights);
    const job = { ...request, hires: { upscaler } };
    expect((await two.model.plan(job)).unloads.map(plainName)).toEqual(['a']);
    const { events, onModel } = heard();
    await two.model.txt2img({ ...job, onModel });
    expect(events).toEqual(['load esrgan', 'unload a', 'load a']);
  });

  it('with a checkpoint of its own: neither model is in the way', async () => {
    const two = await models({ bytes: 3000 * mib }, limit, weights);
    const { events, onModel } = heard();
    await two.model.txt2img({ ...request, onModel, hires: { upscaler, checkpoint: two.b } });
    expect(events).toEqual(['unload a', 'load esrgan', 'unload esrgan', 'load b', 'switch b']);
  });

  it('LoRAs and failures are as ever: a failed enlargement leaves the model usable', async () => {
    const two = await models({ bytes: 3000 * mib }, limit, weights);
    two.fake.hold.add('upscale');
    const job = two.model.txt2img({ ...request, hires: { upscaler } });
    await until(() => two.fake.of('upscale').length === 1);
    two.fake.of('upscale')[0]?.fail('ERR_ENGINE', 'broken');
    two.fake.hold.clear();
    expect((await failure(job)).code).toBe('ERR_ENGINE');
    expect((await two.model.txt2img(request)).images).toHaveLength(1);
  });

  it('what fits in neither way is refused before the first step, with the numbers', async () => {
    const two = await models({ bytes: mib, graph: () => 6000 * mib }, limit, weights);
    const error = await failure(two.model.txt2img({ ...request, hires: { upscaler } }));
    expect(error.message).toMatch(/needs 5\.\d+ GiB of memory, memoryLimit .* leaves .*upscaler model 5\.\d+ GiB/);
    expect(two.fake.of('sample')).toHaveLength(0);
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
