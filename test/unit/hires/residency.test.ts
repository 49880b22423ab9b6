import { describe, expect, it } from 'vitest';
import { until } from '../../support/fakeAddon.js';
import { heard, history, type TwoModels, twoModels, weighing } from '../../support/fakeCheckpoints.js';
import { wholeCheckpoint } from '../../support/fakeFiles.js';
import { failure } from '../../support/native.js';

const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
const work = ['loadModel', 'sample', 'decodeLatent', 'encodeImages'];

describe('a batch of two checkpoints', () => {
  it('is two loads and one switch: all first passes, then all second', async () => {
    const two = await twoModels();
    const { events, onModel } = heard();
    const { images } = await two.model.txt2img({
      ...request,
      ...{ batchSize: 8, onModel },
      hires: { checkpoint: two.b, upscaler: 'latent' },
    });
    expect(images.map(({ seed }) => seed)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(history(two, ['loadModel', 'sample'])).toEqual([
      'loadModel a',
      '8 x sample a',
      'loadModel b',
      '8 x sample b',
    ]);
    expect(events).toEqual(['load b', 'switch b']);
    expect(two.fake.disposedModels).toEqual([]);
    await two.runtime.dispose();
  });

  it('with an upscaler of pixels: A decodes, B encodes', async () => {
    const two = await twoModels({ latentChannels: 16, architecture: 'Flux', isDit: true });
    await two.model.txt2img({ ...request, batchSize: 2, hires: { checkpoint: two.b } });
    expect(history(two, work)).toEqual([
      ...['loadModel a', 'sample a', 'decodeLatent a', 'sample a', 'decodeLatent a', 'loadModel b'],
      ...['encodeImages b', 'sample b', 'decodeLatent b', 'encodeImages b', 'sample b', 'decodeLatent b'],
    ]);
    await two.runtime.dispose();
  });

  it('reads nothing the second time, and nothing when the first model works again', async () => {
    const two = await twoModels();
    const { events, onModel } = heard();
    const job = { ...request, onModel, hires: { checkpoint: two.b } };
    await two.model.txt2img(job);
    const calls = two.fake.calls.length;
    await two.model.txt2img({ ...request });
    await two.model.txt2img(job);
    expect(two.fake.of('loadModel')).toHaveLength(2);
    expect(two.fake.calls.slice(calls).filter(({ op }) => op === 'measureLoad' || op === 'loadModel')).toEqual([]);
    expect(events).toEqual(['load b', 'switch b', 'switch b']);
    const plan = await two.model.plan(job);
    expect(plan.passes.map(({ loaded }) => loaded)).toEqual([true, true]);
    expect(plan.explain()).toContain('all models stay in memory');
    await two.runtime.dispose();
  });
});

describe('where one model has room', () => {
  const mib = 2 ** 20;
  // What the process grows by in a test counts under the limit as well, so weights are far larger than that.
  const limits = { memoryLimit: 5000 * mib };
  const heavy = weighing(1000 * mib);

  it('the first leaves for the second and comes back with the next job; the plan says so', async () => {
    const two = await twoModels(heavy, { infoOf: () => heavy, runtime: limits });
    const { events, onModel } = heard();
    const job = { ...request, onModel, hires: { checkpoint: two.b } };
    const plan = await two.model.plan(job);
    expect(plan.unloads).toEqual([two.model.info.name]);
    expect(plan.explain()).toMatch(/"a-\d+" leaves memory before its successor is read/);
    expect(two.fake.of('loadModel')).toHaveLength(1);

    await two.model.txt2img(job);
    expect(history(two, ['loadModel', 'sample'])).toEqual(['loadModel a', 'sample a', 'loadModel b', 'sample b']);
    expect(events).toEqual(['unload a', 'load b', 'switch b']);
    expect(two.fake.disposedModels).toEqual([1]);
    // Now the second is in memory, and the same job has to change twice.
    const again = await two.model.plan(job);
    expect(again.unloads.map((name) => name.replace(/-\d+$/, ''))).toEqual(['b', 'a']);
    expect(again.passes.map(({ loaded }) => loaded)).toEqual([false, false]);
    events.length = 0;
    await two.model.txt2img(job);
    expect(events).toEqual(['unload b', 'load a', 'unload a', 'load b', 'switch b']);
    events.length = 0;
    expect((await two.model.plan(request)).unloads).toHaveLength(1);
    await two.model.txt2img({ ...request, onModel });
    expect(events).toEqual(['unload b', 'load a']);
    await two.runtime.dispose();
    expect(two.fake.disposedModels).toHaveLength(5);
  });

  it('a checkpoint of an earlier job leaves before the model itself', async () => {
    const third = wholeCheckpoint('c');
    const two = await twoModels(heavy, { infoOf: () => heavy, runtime: { memoryLimit: 8000 * mib } });
    const { events, onModel } = heard();
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    const job = { ...request, onModel, hires: { checkpoint: third } };
    expect((await two.model.plan(job)).unloads.map((name) => name.replace(/-\d+$/, ''))).toEqual(['b']);
    await two.model.txt2img(job);
    expect(events).toEqual(['unload b', 'load c', 'switch c']);
    await two.runtime.dispose();
  });

  it('a second model that fits not even alone is refused before the first step', async () => {
    const two = await twoModels(weighing(2000 * mib), { infoOf: () => heavy, runtime: limits });
    const job = { ...request, hires: { checkpoint: two.b } };
    await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    await expect(two.model.plan(job)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    expect(two.fake.of('sample')).toHaveLength(0);
    await two.model.txt2img(request);
    await two.runtime.dispose();
  });

  describe('beside the graphs of its pass', () => {
    const gib = 1024 * mib;
    const light = weighing(300 * mib);
    /** Graphs of the second model, whose weights alone fit; those of the first are nothing. */
    const graphs = (bytes: number, b: () => string) => (_params: unknown, files?: { checkpoint?: string }) =>
      files?.checkpoint === b() ? { diffusion: { graph: bytes, work: 0 } } : {};
    const pair = async (bytes: number, memoryLimit: number): Promise<TwoModels> => {
      const opened: { b?: string } = {};
      const memory = graphs(bytes, () => opened.b ?? '');
      const two = await twoModels(light, { infoOf: () => light, memory, runtime: { memoryLimit } });
      opened.b = two.b;
      return two;
    };

    it('a second model that does not fit is refused before the first step, and before it is read', async () => {
      const two = await pair(6 * gib, 5 * gib);
      const job = { ...request, hires: { checkpoint: two.b } };
      const error = await failure(two.model.txt2img(job));
      expect(error.code).toBe('ERR_OUT_OF_MEMORY');
      expect(error.message).toMatch(/^The hires pass with "b-\d+" needs .* of memory, memoryLimit .*: diffusion model/);
      const { needed, available } = error.given as { needed: number; available: number };
      expect(needed).toBeGreaterThan(6 * gib);
      // The first model has left by then, the second is there.
      expect(available / mib).toBeGreaterThan(5 * 1024 - 900 - 200);
      expect(available / mib).toBeLessThan(5 * 1024 - 900 + 1);
      expect(history(two, ['loadModel', 'sample'])).toEqual(['loadModel a']);
      expect((await two.model.estimate(job)).fits).toBe(false);
      expect((await two.model.estimate(request)).fits).toBe(true);
      await two.model.txt2img(request);
      await two.runtime.dispose();
    });

    it('one that fits when the first has left is let in', async () => {
      // Both with the graphs would be 900 + 900 + 3000 MiB.
      const two = await pair(3000 * mib, 4500 * mib);
      const { events, onModel } = heard();
      const job = { ...request, onModel, hires: { checkpoint: two.b } };
      const plan = await two.model.plan(job);
      expect(plan.passes.map(({ memory }) => memory > 3000 * mib)).toEqual([false, true]);
      expect(plan.peak).toBeGreaterThan(3900 * mib);
      const estimate = await two.model.estimate(job);
      expect([estimate.fits, estimate.weights]).toEqual([true, 900 * mib]);
      expect(estimate.diffusion).toBeGreaterThanOrEqual(3000 * mib);
      expect((await two.model.txt2img(job)).images).toHaveLength(1);
      expect(events).toContain('load b');
      await two.runtime.dispose();
    });

    it('the first model counts where the pass works with its parts', async () => {
      const two = await pair(3000 * mib, 4500 * mib);
      const job = { ...request, hires: { checkpoint: two.b, modules: 'same' as const } };
      await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
      expect(history(two, ['loadModel', 'sample'])).toEqual(['loadModel a']);
      await two.runtime.dispose();
    });

    it('so it is in a later job, when others have taken the memory', async () => {
      const two = await pair(1000 * mib, 4500 * mib);
      const job = { ...request, hires: { checkpoint: two.b } };
      await two.model.txt2img(job);
      await two.runtime.releaseHires();
      const others = [await two.runtime.loadModel({ checkpoint: wholeCheckpoint('c') })];
      others.push(await two.runtime.loadModel({ checkpoint: wholeCheckpoint('d') }));
      await two.model.txt2img(job);
      await two.runtime.releaseHires();
      others.push(await two.runtime.loadModel({ checkpoint: wholeCheckpoint('e') }));
      const before = two.fake.of('sample').length;
      await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
      expect(two.fake.of('sample')).toHaveLength(before);
      await two.runtime.dispose();
    });
  });

  it('the VAE works on the whole picture when another model can leave for it', async () => {
    const gib = 1024 * mib;
    const two = await twoModels(weighing(340 * mib), {
      infoOf: () => weighing(340 * mib),
      memory: ({ decode, decodeTiling }) =>
        decode ? { vaeDecode: { graph: decodeTiling.enabled ? mib : 3 * gib, work: 0 } } : {},
      runtime: { memoryLimit: 4700 * mib },
    });
    // Of 32 latent cells, so that there are smaller tiles.
    const large = { ...request, width: 256, height: 256 };
    const job = { ...request, width: 128, height: 128, hires: { checkpoint: two.b } };
    const { images, warnings } = await two.model.txt2img(job);
    expect(warnings).toEqual([]);
    expect(images).toHaveLength(1);
    const tiled = two.fake.of('decodeLatent').map(({ params }) => params.tiling.enabled);
    expect(tiled).toEqual([false]);
    // Now the second model is in the way of the first.
    expect((await two.model.estimate(large)).fits).toBe(true);
    expect((await two.model.txt2img(large)).warnings).toEqual([]);
    await two.runtime.dispose();
  });

  it('a model that is needed for its text encoder and VAE stays, so both must fit', async () => {
    const two = await twoModels(heavy, { infoOf: () => heavy, runtime: limits });
    const job = { ...request, hires: { checkpoint: two.b, modules: 'same' as const } };
    await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    expect(two.fake.of('sample')).toHaveLength(0);
    await two.model.txt2img(request);
    expect(two.fake.of('loadModel')).toHaveLength(1);
    await two.runtime.dispose();
  });
});

describe('a second model', () => {
  it('that cannot be read leaves the first usable; the next job reads it', async () => {
    const two = await twoModels();
    two.fake.hold.add('loadModel');
    const job = two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    await until(() => two.fake.of('loadModel').length === 2);
    two.fake.of('loadModel')[1]?.fail('ERR_MODEL_CORRUPT', 'broken weights');
    two.fake.hold.clear();
    await expect(job).rejects.toMatchObject({ code: 'ERR_MODEL_CORRUPT' });
    await two.model.txt2img(request);
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    expect(history(two, ['loadModel', 'sample'])).toEqual([
      ...['loadModel a', 'sample a', 'loadModel b', '3 x sample a'].slice(0, 3),
      ...['2 x sample a', 'loadModel b', 'sample b'],
    ]);
    await two.runtime.dispose();
  });

  it('is shared by two models that work at the same time, one after the other', async () => {
    const two = await twoModels();
    const other = await two.runtime.loadModel({ checkpoint: wholeCheckpoint('c') });
    const hires = { checkpoint: two.b };
    const both = await Promise.all([
      two.model.txt2img({ ...request, batchSize: 3, hires }),
      other.txt2img({ ...request, seed: 40, batchSize: 3, hires }),
    ]);
    expect(both.map(({ images }) => images.map(({ seed }) => seed))).toEqual([
      [1, 2, 3],
      [40, 41, 42],
    ]);
    expect(two.fake.of('loadModel')).toHaveLength(3);
    const seeds = two.fake
      .of('sample')
      .filter(({ model }) => two.fake.loads.get(model)?.files.checkpoint === two.b)
      .map(({ params }) => params.seed);
    expect([
      [1, 2, 3, 40, 41, 42],
      [40, 41, 42, 1, 2, 3],
    ]).toContainEqual(seeds);
    await two.runtime.dispose();
  });

  it('whose file changes is another model', async () => {
    const two = await twoModels();
    const hires = { checkpoint: two.b };
    await two.model.txt2img({ ...request, hires });
    const { utimes } = await import('node:fs/promises');
    await utimes(two.b, 1000, 1000);
    await two.model.txt2img({ ...request, hires });
    expect(two.fake.of('loadModel')).toHaveLength(3);
    await two.runtime.dispose();
  });
});
