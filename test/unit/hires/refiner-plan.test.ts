import { afterAll, describe, expect, it } from 'vitest';
import { until } from '../../support/fakeAddon.js';
import { heard, twoModels, type TwoModels, weighing } from '../../support/fakeCheckpoints.js';
import { wholeCheckpoint } from '../../support/fakeFiles.js';

const request = { prompt: 'x', negativePrompt: 'n', width: 64, height: 64, steps: 10, seed: 5, sampler: 'euler_a' };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose({ abort: true }))));

async function models(...given: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(...given);
  made.push(two);
  return two;
}

describe('plan of a job with a refiner', () => {
  it('says who does which steps', async () => {
    const two = await models();
    const job = { ...request, refiner: { checkpoint: two.b }, hires: { steps: 4, refiner: { checkpoint: two.b } } };
    const short = { ...job, hires: { steps: 4, refiner: { checkpoint: two.b, switchAt: 0.5 } } };
    await expect(two.model.plan(job)).rejects.toMatchObject({ field: 'hires.refiner.switchAt' });
    const plan = await two.model.plan(short);
    expect(plan.passes.map(({ mode, stepsBefore: from, steps, loaded }) => [mode, from, steps, loaded])).toEqual([
      ['txt2img', 0, 8, true],
      ['txt2img', 8, 2, false],
      ['img2img', 0, 2, true],
      ['img2img', 2, 2, true],
    ]);
    const text = plan.explain();
    expect(text).toContain('stops after step 8 of 10');
    expect(text).toContain('goes on with the latents of the pass before, after step 8');
    expect(text).toContain('stops after step 2 of 4');
    expect(two.fake.of('sample')).toHaveLength(0);
    await two.model.txt2img(short);
    const again = await two.model.plan(short);
    expect(again.passes.map(({ loaded }) => loaded)).toEqual([true, true, true, true]);
    expect(again.peak).not.toBeNull();
  });

  it('names models that leave and come back, which is what happens', async () => {
    const mib = 2 ** 20;
    const heavy = weighing(1000 * mib);
    const two = await models(heavy, { infoOf: () => heavy, runtime: { memoryLimit: 5000 * mib } });
    const { events, onModel } = heard();
    const job = { ...request, onModel, refiner: { checkpoint: two.b }, hires: {} };
    const plan = await two.model.plan(job);
    expect(plan.unloads.map((name) => name.replace(/-\d+$/, ''))).toEqual(['a', 'b']);
    expect(plan.passes.map(({ loaded }) => loaded)).toEqual([true, false, false]);
    await two.model.txt2img(job);
    expect(events).toEqual(['unload a', 'load b', 'switch b', 'unload b', 'load a', 'switch a']);
  });

  it('counts the memory of a VAE that is another model’s, and of the predictions', async () => {
    const mib = 2 ** 20;
    const two = await models(
      {},
      {
        memory: ({ decode, prompts }) => ({
          ...(decode ? { vaeDecode: { graph: 70 * mib, work: 0 } } : {}),
          ...(prompts.length > 0 ? { diffusion: { graph: 30 * mib, work: 0 } } : {}),
        }),
      },
    );
    const refiner = { checkpoint: two.b, modules: 'same' as const };
    await two.model.txt2img({ ...request, refiner });
    const [before, after] = (await two.model.plan({ ...request, refiner })).passes.map(({ memory }) => memory ?? NaN);
    const [whole] = (await two.model.plan(request)).passes.map(({ memory }) => memory ?? NaN);
    expect(before).toBeLessThan(60 * mib);
    expect(after).toBeGreaterThan(70 * mib);
    // The whole run decodes as well, and keeps no predictions.
    expect(after).toBeGreaterThan(whole ?? NaN);
    expect(after).toBeLessThan(100 * mib);
  });
});

describe('several jobs', () => {
  it('whose refiners and hires checkpoints are one another’s do not wait for each other for ever', async () => {
    const two = await models();
    const third = wholeCheckpoint('c');
    const other = await two.runtime.loadModel({ checkpoint: wholeCheckpoint('d') });
    const both = await Promise.all([
      two.model.txt2img({ ...request, batchSize: 3, refiner: { checkpoint: two.b }, hires: { checkpoint: third } }),
      other.txt2img({ ...request, batchSize: 3, refiner: { checkpoint: third }, hires: { checkpoint: two.b } }),
    ]);
    expect(both.map(({ images }) => images.length)).toEqual([3, 3]);
  });

  it('an abort while the refiner is at work leaves it to the next', async () => {
    const two = await models();
    const controller = new AbortController();
    const reason = new Error('enough');
    const job = { ...request, refiner: { checkpoint: two.b } };
    two.fake.hold.add('sample');
    const doomed = two.model.txt2img({ ...job, signal: controller.signal });
    await until(() => two.fake.of('sample').length === 1);
    two.fake.of('sample')[0]?.release();
    await until(() => two.fake.of('sample').length === 2);
    controller.abort(reason);
    await expect(doomed).rejects.toBe(reason);
    two.fake.hold.clear();
    expect((await two.model.txt2img(job)).images).toHaveLength(1);
  });
});

describe('what a job with a refiner tells', () => {
  it('counts the steps of each part, and never goes back', async () => {
    const two = await models();
    const seen: number[] = [];
    const totals = new Set<string>();
    await two.model.txt2img({
      ...request,
      batchSize: 2,
      refiner: { checkpoint: two.b },
      onProgress: ({ fraction, phase, total }) => {
        seen.push(fraction);
        if (phase === 'sample') totals.add(String(total));
      },
    });
    expect([...totals]).toEqual(['8', '2']);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  it('warns of a long prompt once for each pass', async () => {
    const two = await models({}, { promptLimit: 20 });
    const prompt = Array.from({ length: 40 }, (_, index) => `word${String(index)}`).join(' ');
    const job = { ...request, prompt, refiner: { checkpoint: two.b } };
    const { warnings } = await two.model.txt2img(job);
    expect(warnings).toMatchObject([{ code: 'cut', field: 'prompt' }]);
    const { warnings: more } = await two.model.txt2img({ ...job, hires: {} });
    expect(more).toMatchObject([
      { code: 'cut', field: 'prompt' },
      { code: 'cut', field: 'hires.prompt' },
    ]);
  });
});
