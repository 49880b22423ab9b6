import { afterAll, describe, expect, it } from 'vitest';
import type { ProgressEvent, Txt2ImgRequest } from '../../../lib/index.js';
import { type FakeOp, until } from '../../support/fakeAddon.js';
import { flux, heard, history, twoModels, type TwoModels, weighing } from '../../support/fakeCheckpoints.js';
import { fakeFile, wholeCheckpoint } from '../../support/fakeFiles.js';

const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose({ abort: true }))));

async function models(...given: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(...given);
  made.push(two);
  return two;
}

const upscaler = { file: fakeFile('esrgan', ['upscaler']) };

/** The n-th call of an operation in a job of one picture over pixels with a second checkpoint. */
const moments: readonly (readonly [FakeOp, number])[] = [
  ['measureLoad', 0],
  ['measureJob', 0],
  ['measure', 0],
  ['encodePrompt', 0],
  ['sample', 0],
  ['decodeLatent', 0],
  ['measureLoad', 1],
  ['loadModel', 0],
  ['encodePrompt', 2],
  ['loadUpscaler', 0],
  ['upscale', 0],
  ['encodeImages', 0],
  ['sample', 1],
  ['decodeLatent', 1],
];

describe.each([false, true])('a job that ends early, native work slow to let go: %s', (slow) => {
  it.each(moments)('aborted in %s %i: its reason at once; others that need the same run', async (op, index) => {
    const two = await models({}, { runtime: { memoryLimit: '8GiB' } });
    const other = await two.runtime.loadModel({ checkpoint: wholeCheckpoint('c') });
    const from = two.fake.of(op).length + index;
    const job = { ...request, hires: { checkpoint: two.b, upscaler } };
    const controller = new AbortController();
    const reason = new Error('enough');
    const { fake } = two;
    fake.slowCancel = slow;
    // Held from the call on that is meant: those before it go through.
    fake.events = (what) => {
      if (what === op && fake.of(op).length > from) fake.hold.add(op);
      return [];
    };
    const running = two.model.txt2img({ ...job, signal: controller.signal });
    await until(() => fake.hold.has(op), op);
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    fake.events = () => [];
    fake.hold.clear();
    const next = two.model.txt2img({ ...job, seed: 5 });
    const beside = other.txt2img({ ...job, seed: 9 });
    if (slow) for (const call of fake.calls) if (call.cancelled && !call.settled) call.letGo();
    expect((await next).images.map(({ seed }) => seed)).toEqual([5]);
    expect((await beside).images.map(({ seed }) => seed)).toEqual([9]);
    expect(two.model.queue.length).toBe(0);
  });
});

describe('a job that fails', () => {
  it.each(moments)('in %s %i lets the next one run', async (op, index) => {
    const two = await models({}, { runtime: { memoryLimit: '8GiB' } });
    const job = { ...request, hires: { checkpoint: two.b, upscaler } };
    const { fake } = two;
    const from = fake.of(op).length + index;
    fake.events = (what) => {
      if (what === op && fake.of(op).length > from) {
        fake.events = () => [];
        fake.of(op).at(-1)?.fail('ERR_ENGINE', 'broken');
      }
      return [];
    };
    await expect(two.model.txt2img(job)).rejects.toMatchObject({ code: 'ERR_ENGINE' });
    const samplings = fake.of('sample').length;
    expect((await two.model.txt2img({ ...job, seed: 5 })).images[0]?.seed).toBe(5);
    expect(fake.of('sample').length - samplings).toBe(2);
  });
});

describe('dispose while a hires job runs', () => {
  it.each(['sample', 'loadModel'] as const)(
    'in %s of the second pass: without abort the job ends first',
    async (op) => {
      const two = await models();
      two.fake.events = (what) => {
        if (what === op && two.fake.of(op).length > 1) two.fake.hold.add(op);
        return [];
      };
      const job = two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
      await until(() => two.fake.hold.has(op));
      const disposed = two.runtime.dispose();
      two.fake.events = () => [];
      two.fake.hold.clear();
      two.fake.of(op).at(-1)?.release();
      expect((await job).images).toHaveLength(1);
      await disposed;
      expect(two.fake.disposedModels.sort()).toEqual([1, 2]);
      await expect(two.model.txt2img(request)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    },
  );

  it('with abort: it is rejected, and all weights are freed', async () => {
    const two = await models();
    two.fake.events = (what) => {
      if (what === 'sample' && two.fake.of('sample').length > 1) two.fake.hold.add('sample');
      return [];
    };
    const job = two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    const waits = two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    const [first, second] = [job, waits].map((promise) => promise.catch((error: unknown) => error));
    await until(() => two.fake.hold.has('sample'));
    await two.runtime.dispose({ abort: true });
    expect(await first).toMatchObject({ code: 'ERR_ABORTED' });
    expect(await second).toMatchObject({ code: 'ERR_DISPOSED' });
    expect(two.fake.disposedModels.sort()).toEqual([1, 2]);
  });

  it('of the other model: the shared hires checkpoint stays usable', async () => {
    const two = await models();
    const other = await two.runtime.loadModel({ checkpoint: wholeCheckpoint('c') });
    const hires = { checkpoint: two.b };
    const job = two.model.txt2img({ ...request, batchSize: 3, hires }).catch((error: unknown) => error);
    await until(() => two.fake.of('sample').length === 4);
    const beside = other.txt2img({ ...request, hires });
    await two.model.dispose({ abort: true });
    expect(await job).toMatchObject({ code: 'ERR_ABORTED' });
    expect((await beside).images).toHaveLength(1);
    expect(two.fake.of('loadModel')).toHaveLength(3);
  });
});

describe('progress of two passes', () => {
  const kinds: readonly (readonly [string, Partial<Txt2ImgRequest>, object | undefined])[] = [
    ['latent', { hires: { upscaler: 'latent' } }, undefined],
    ['pixels', { hires: { upscaler: 'bicubic' } }, undefined],
    ['an upscaler model', { hires: { upscaler } }, undefined],
    ['strength 0', { hires: { upscaler: 'nearest', denoisingStrength: 0 } }, undefined],
    ['a second checkpoint', { hires: { prompt: 'y' } }, {}],
    ['a second checkpoint of another kind', { hires: {} }, flux],
    ['a second checkpoint with the parts of the first', { hires: { modules: 'same' } }, {}],
  ];
  it.each(kinds)('%s: announced is what is run, the share grows to 1', async (_name, given, second) => {
    const two = await models(second ?? {});
    const hires = { ...given.hires, ...(second === undefined ? {} : { checkpoint: two.b }) };
    for (const jobs of [1, 2]) {
      const events: ProgressEvent[] = [];
      await two.model.txt2img({ ...request, batchSize: 2, hires, onProgress: (event) => void events.push(event) });
      const fractions = events.map(({ fraction }) => fraction);
      expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
      expect(fractions.at(-1)).toBe(1);
      // Whatever was not announced would end with less; whatever was announced and not run would jump at the end.
      expect(fractions.filter((fraction) => fraction === 1).length).toBeLessThanOrEqual(2);
      expect(events.at(-1)).toMatchObject({ phase: 'decode', image: 2, images: 2, eta: 0 });
      const phases = new Set(events.map(({ phase }) => phase));
      // Weights that are read have a stage, be they those of a checkpoint or of an upscaler model.
      const reads = second !== undefined || given.hires?.upscaler === upscaler;
      expect(phases.has('load')).toBe(reads && jobs === 1);
      expect(phases.has('upscale')).toBe(
        !(given.hires?.upscaler === 'latent' || (second !== undefined && second !== flux)),
      );
    }
  });

  it('previews carry on in the second pass', async () => {
    const two = await models();
    const image = { width: 8, height: 8, channels: 3 as const, data: new Uint8Array(192) };
    two.fake.events = (op) => (op === 'sample' ? [{ type: 'preview', step: 1, image }] : []) as never;
    const previews: [number, number, number][] = [];
    await two.model.txt2img({
      ...{ ...request, batchSize: 2, hires: { checkpoint: two.b, steps: 3 } },
      onPreview: ({ image: which, step, total }) => void previews.push([which, step, total]),
    });
    expect(previews).toEqual([
      [1, 1, 2],
      [2, 1, 2],
      [1, 1, 3],
      [2, 1, 3],
    ]);
    expect(two.fake.of('sample').map(({ params }) => params.preview)).toEqual(['proj', 'proj', 'proj', 'proj']);
  });

  it('a stream tells of the switch and yields the pictures', async () => {
    const two = await models();
    const types: string[] = [];
    for await (const event of two.model.txt2imgStream({ ...request, hires: { checkpoint: two.b } }))
      if (event.type !== 'progress') types.push(event.type === 'model' ? event.action : event.type);
    expect(types).toEqual(['load', 'switch', 'image']);
  });

  it('a logger at level info hears of loads, unloads and switches', async () => {
    const lines: string[] = [];
    const heavy = weighing(1000 * 2 ** 20);
    const two = await models(heavy, {
      infoOf: () => heavy,
      runtime: {
        memoryLimit: 5000 * 2 ** 20,
        logLevel: 'info',
        logger: (level, message) => void lines.push(`${level} ${message.replace(/-\d+/g, '')}`),
      },
    });
    const { events, onModel } = heard();
    await two.model.txt2img({ ...request, onModel, hires: { checkpoint: two.b } });
    expect(lines.map((line) => line.replace(/ \(.*/, ''))).toEqual([
      'info unload of "a"',
      'info load of "b"',
      'info switch of "b"',
    ]);
    expect(events).toEqual(['unload a', 'load b', 'switch b']);
    expect(history(two, ['loadModel'])).toEqual(['loadModel a', 'loadModel b']);
  });
});
