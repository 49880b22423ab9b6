import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Model, Txt2ImgRequest } from '../../../lib/index.js';
import { type FakeCall, until } from '../../support/fakeAddon.js';
import { heard, history, twoModels, type TwoModels, weighing } from '../../support/fakeCheckpoints.js';
import { fakeFile, wholeCheckpoint } from '../../support/fakeFiles.js';
import { lowRank, writeLora } from '../../support/lora/files.js';
import { failure } from '../../support/native.js';
import { testSeed } from '../../support/random.js';
import { useScratch } from '../../support/scratch.js';

const seed = testSeed('Crossing jobs');
const scratch = useScratch(2 ** 20);
const base = 'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0';
const tensor = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight';
const request = { prompt: 'x', width: 64, height: 64, steps: 10, seed: 1 };
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Loaded extends TwoModels {
  /** The model of `b`, loaded by hand. */
  readonly other: Model;
}

const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));
beforeAll(() => {
  for (const [index, name] of ['one', 'two'].entries())
    writeLora(scratch.path(`${name}.safetensors`), lowRank({ [base]: [8, 4] }, { seed: index + 1 }));
});

async function models(): Promise<Loaded> {
  const two = await twoModels(
    {},
    { tensors: [{ name: tensor, type: 'f16', shape: [8, 4] }], runtime: { loraDirectories: [scratch.path('.')] } },
  );
  made.push(two);
  return { ...two, other: await two.runtime.loadModel({ checkpoint: two.b }) };
}

describe('a model that was loaded by hand, as hires checkpoint of another', () => {
  it('is in memory once: nothing is read for it, however often', async () => {
    const { model, other, fake, b, ...two } = await models();
    const { events, onModel } = heard();
    const job = { ...request, onModel, hires: { checkpoint: b } };
    expect((await model.plan(job)).passes.map(({ loaded }) => loaded)).toEqual([true, true]);
    await model.txt2img(job);
    await model.txt2img({ ...job, refiner: { checkpoint: b }, hires: { refiner: { checkpoint: b } } });
    await other.txt2img({ ...request, hires: { checkpoint: two.a } });
    expect(fake.of('loadModel')).toHaveLength(2);
    expect(fake.of('measureLoad')).toHaveLength(0);
    expect(events).toEqual(['switch b', 'switch b', 'switch a', 'switch b']);
    // Its owner keeps it, whatever jobs of others do.
    expect(await two.runtime.releaseHires()).toBe(0);
    expect(fake.disposedModels).toEqual([]);
  });

  it('lends the rest of it to a pass with the parts of the first', async () => {
    const { model, fake, b, ...two } = await models();
    await model.txt2img({ ...request, hires: { checkpoint: b, modules: 'same' } });
    expect(history({ ...two, model, fake, b }, ['loadModel', 'encodePrompt', 'sample', 'decodeLatent'])).toEqual([
      ...['loadModel a', 'loadModel b'],
      ...['2 x encodePrompt a', 'sample a', 'sample b', 'decodeLatent a'],
    ]);
  });

  it('is the same when it was a hires checkpoint first; from then on it stays', async () => {
    const two = await twoModels();
    made.push(two);
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    const progress: string[] = [];
    const onProgress = ({ phase, fraction }: { phase: string; fraction: number }): void =>
      void progress.push(`${phase} ${String(fraction)}`);
    const other = await two.runtime.loadModel({ checkpoint: two.b, onProgress });
    expect(progress.at(-1)).toBe('load 1');
    expect(two.fake.of('loadModel')).toHaveLength(2);
    expect(await two.runtime.releaseHires()).toBe(0);
    expect(two.runtime.models).toContain(other);
    await other.txt2img({ ...request, hires: { checkpoint: two.a } });
    expect(two.fake.of('loadModel')).toHaveLength(2);
    await other.dispose();
    expect(two.fake.disposedModels).toEqual([2]);
    // Now it is a checkpoint like any other again.
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    expect(two.fake.of('loadModel')).toHaveLength(3);
  });

  it('is read again where its weights had left, and a load that is aborted leaves it to the jobs', async () => {
    const two = await twoModels();
    made.push(two);
    const job = { ...request, hires: { checkpoint: two.b } };
    await two.model.txt2img(job);
    await two.runtime.releaseHires();
    two.fake.hold.add('loadModel');
    const controller = new AbortController();
    const reason = new Error('enough');
    const loading = two.runtime.loadModel({ checkpoint: two.b, signal: controller.signal });
    await until(() => two.fake.of('loadModel').length === 3);
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
    two.fake.hold.clear();
    await two.model.txt2img(job);
    expect(two.fake.of('loadModel')).toHaveLength(4);
    expect(await two.runtime.releaseHires()).toBeGreaterThan(0);
  });

  it('with other settings, or when its file has changed, is another model', async () => {
    const two = await twoModels();
    made.push(two);
    const job = { ...request, hires: { checkpoint: two.b } };
    await two.runtime.loadModel({ checkpoint: two.b, weightType: 'q8_0' });
    await two.runtime.loadModel({ checkpoint: two.b, loraMode: 'runtime' });
    await two.model.txt2img(job);
    expect(two.fake.of('loadModel')).toHaveLength(4);
    await two.runtime.loadModel({ checkpoint: two.b });
    expect(two.fake.of('loadModel')).toHaveLength(4);
    const { utimes } = await import('node:fs/promises');
    await utimes(two.b, 1000, 1000);
    await two.model.txt2img(job);
    expect(two.fake.of('loadModel')).toHaveLength(5);
  });

  it('may be the model itself', async () => {
    const two = await twoModels();
    made.push(two);
    const { events, onModel } = heard();
    await two.model.txt2img({ ...request, onModel, hires: { checkpoint: two.a }, refiner: { checkpoint: two.a } });
    expect(two.fake.of('loadModel')).toHaveLength(1);
    expect(events).toEqual([]);
  });

  it('leaves for nobody: the plan of a job that needs room for a third says what will leave, and that does', async () => {
    const heavy = weighing(1000 * 2 ** 20);
    const two = await twoModels(heavy, { infoOf: () => heavy, runtime: { memoryLimit: 8000 * 2 ** 20 } });
    made.push(two);
    await two.runtime.loadModel({ checkpoint: two.b });
    const { events, onModel } = heard();
    const third = wholeCheckpoint('c');
    const job = { ...request, onModel, refiner: { checkpoint: two.b }, hires: { refiner: { checkpoint: third } } };
    expect((await two.model.plan(job)).unloads).toEqual([two.model.info.name]);
    await two.model.txt2img(job);
    expect(events).toEqual(['switch b', 'switch a', 'unload a', 'load c', 'switch c']);
  });

  it('whose refiner has a VAE of its hires checkpoint, or of its first refiner, lends it: the file is read once', async () => {
    const two = await twoModels();
    made.push(two);
    const [c, d] = [wholeCheckpoint('c'), wholeCheckpoint('d')];
    const vae = fakeFile('vae', ['soleVae']);
    const without = (): string[] =>
      two.fake.of('loadModel').map(({ params }) => `${String(params.withoutTextEncoder)} ${String(params.withoutVae)}`);
    const hires = { checkpoint: two.b, modules: [vae], refiner: { checkpoint: c, modules: [vae] } };
    await two.model.txt2img({ ...request, hires });
    expect(without()).toEqual(['false false', 'false false', 'false true']);
    expect(history(two, ['sample', 'decodeLatent'])).toEqual(['sample a', 'sample b', 'sample ?', 'decodeLatent b']);
    // A first refiner that has it lends it to the hires checkpoint and to the refiner of that.
    await two.runtime.releaseHires();
    two.fake.calls.splice(0);
    const refiner = { checkpoint: d, modules: [vae] };
    await two.model.txt2img({ ...request, refiner, hires: { ...hires, upscaler: 'latent' } });
    expect(without()).toEqual(['false false', 'false true', 'false true']);
    expect(two.fake.of('decodeLatent').map(({ model }) => two.fake.loads.get(model)?.files.checkpoint)).toEqual([d]);
    // A file that was replaced since is another part.
    await two.runtime.releaseHires();
    two.fake.calls.splice(0);
    const { utimes } = await import('node:fs/promises');
    await utimes(vae, 1000, 1000);
    await two.model.txt2img({ ...request, hires });
    expect(without()).toEqual(['false false', 'false true']);
  });

  it('two loads by hand are two models that work at the same time', async () => {
    const two = await models();
    await two.runtime.loadModel({ checkpoint: two.b });
    expect(two.fake.of('loadModel')).toHaveLength(3);
  });

  it('has the LoRAs of the pass while it serves, and its own again afterwards', async () => {
    const { model, other, fake, b } = await models();
    await other.loras.set([{ name: 'two', weight: 1 }]);
    await model.txt2img({ ...request, prompt: 'x <lora:one:1>', hires: { checkpoint: b } });
    await other.txt2img(request);
    await model.txt2img({ ...request, hires: { checkpoint: b } });
    await other.txt2img(request);
    expect(atSampling(fake.calls)).toEqual(['1 one', '2 one', '2 two', '1 none', '2 none', '2 two']);
    expect(other.loras.current.map(({ name }) => name)).toEqual(['two']);
  });
});

describe('a job that needs a model which works for others', () => {
  it('waits for the job that runs there, not for those that wait', async () => {
    const { model, other, fake, b } = await models();
    fake.hold.add('sample');
    const own = [10, 20].map((n) => other.txt2img({ ...request, seed: n }));
    const crossing = model.txt2img({ ...request, hires: { checkpoint: b } });
    await until(() => fake.of('sample').length === 2);
    fake.hold.clear();
    for (const call of fake.of('sample')) call.release();
    await Promise.all([...own, crossing]);
    const onB = fake.of('sample').flatMap(({ model: id, params }) => (id === 2 ? [params.seed] : []));
    expect(onB).toEqual([10, 1, 20]);
  });

  it('aborted while it waits, it leaves at once; who works there is not disturbed', async () => {
    const { model, other, fake, b } = await models();
    fake.hold.add('sample');
    const long = other.txt2img(request);
    await until(() => fake.of('sample').length === 1);
    await tick();
    fake.hold.clear();
    const controller = new AbortController();
    const reason = new Error('enough');
    const job = model.txt2img({ ...request, signal: controller.signal, hires: { checkpoint: b } });
    await until(() => fake.of('sample').length === 2);
    for (let i = 0; i < 20; i++) await tick();
    expect(fake.of('sample')).toHaveLength(2);
    controller.abort(reason);
    await expect(job).rejects.toBe(reason);
    // Its own model is free again, the other still works.
    expect((await model.txt2img(request)).images).toHaveLength(1);
    fake.of('sample')[0]?.release();
    expect((await long).images).toHaveLength(1);
    expect((await model.txt2img({ ...request, hires: { checkpoint: b } })).images).toHaveLength(1);
  });

  it('lets others work with its own model meanwhile: two jobs that cross end both', async () => {
    const { model, other, fake, a, b } = await models();
    fake.hold.add('sample');
    const jobs = [
      model.txt2img({ ...request, seed: 1, hires: { checkpoint: b } }),
      other.txt2img({ ...request, seed: 2, hires: { checkpoint: a } }),
    ];
    await until(() => fake.of('sample').length === 2);
    fake.hold.clear();
    for (const call of fake.of('sample')) call.release();
    const results = await Promise.all(jobs);
    expect(results.map(({ images }) => images[0]?.seed)).toEqual([1, 2]);
    expect(fake.of('loadModel')).toHaveLength(2);
  });
});

describe('a model that is disposed of', () => {
  it('while a job of another will need it: that job reads it for itself, and frees it again', async () => {
    const { model, other, fake, b } = await models();
    fake.hold.add('sample');
    const job = model.txt2img({ ...request, hires: { checkpoint: b } });
    await until(() => fake.of('sample').length === 1);
    await other.dispose();
    expect(fake.disposedModels).toEqual([2]);
    expect(await failure(other.txt2img(request))).toMatchObject({ code: 'ERR_DISPOSED' });
    fake.hold.clear();
    fake.of('sample')[0]?.release();
    expect((await job).images).toHaveLength(1);
    await until(() => fake.disposedModels.length === 2);
    expect(fake.of('loadModel')).toHaveLength(3);
  });

  it.each([false, true])('while a job of another works with it, abort: %s', async (abort) => {
    const { model, other, fake, b } = await models();
    fake.hold.add('sample');
    const job = model.txt2img({ ...request, hires: { checkpoint: b } });
    await until(() => fake.of('sample').length === 1);
    fake.of('sample')[0]?.release();
    await until(() => fake.of('sample').length === 2);
    let gone = false;
    const disposing = other.dispose({ abort }).then(() => (gone = true));
    for (let i = 0; i < 20; i++) await tick();
    // The job keeps the weights. Who disposes waits for it, unless in a hurry.
    expect(gone).toBe(abort);
    expect(fake.disposedModels).toEqual([]);
    expect(await failure(other.txt2img(request))).toMatchObject({ code: 'ERR_DISPOSED' });
    fake.of('sample')[1]?.release();
    expect((await job).images).toHaveLength(1);
    await disposing;
    await until(() => fake.disposedModels.length === 1);
    expect(fake.disposedModels).toEqual([2]);
  });

  it('with the whole runtime, in the middle of crossing jobs: all end, everything is freed', async () => {
    const { model, other, runtime, fake, a, b } = await models();
    fake.hold.add('sample');
    const jobs = [
      model.txt2img({ ...request, hires: { checkpoint: b } }),
      other.txt2img({ ...request, hires: { checkpoint: a } }),
    ];
    const ends = Promise.all(jobs.map((job) => failure(job)));
    await until(() => fake.of('sample').length === 2);
    fake.of('sample')[0]?.release();
    for (let i = 0; i < 20; i++) await tick();
    await runtime.dispose({ abort: true });
    for (const { code } of await ends) expect(code).toBe('ERR_ABORTED');
    expect([...fake.disposedModels].sort()).toEqual([1, 2]);
  });
});

/** Number of the model and LoRA files in its weights, at every sampling; with the seed where asked for. */
function atSampling(calls: readonly FakeCall[]): string[] {
  return sampled(calls).map(({ model, loras }) => `${String(model)} ${loras}`);
}

function sampled(calls: readonly FakeCall[]): { model: number; loras: string; seed: number }[] {
  const state = new Map<number, string>();
  return calls.flatMap(({ op, params, model, done }) => {
    // What was cancelled and let go of has changed nothing.
    if (op === 'applyWeights' && done) {
      const { files, targets } = params as FakeCall<'applyWeights'>['params'];
      const used = targets.some(({ deltas }) => deltas.length > 0);
      const names = files.map(({ path }) => path.replace(/^.*\/(\w+)\.safetensors$/, '$1'));
      state.set(model, used ? names.join('+') : 'none');
    }
    if (op !== 'sample') return [];
    return [{ model, loras: state.get(model) ?? 'none', seed: (params as FakeCall<'sample'>['params']).seed }];
  });
}

describe('crossing jobs', () => {
  const job = fc.record({
    on: fc.constantFrom(0, 1, 2),
    hires: fc.option(fc.constantFrom(0, 1, 2, 3)),
    refiner: fc.option(fc.constantFrom(0, 1, 2, 3)),
    hiresRefiner: fc.option(fc.constantFrom(0, 1, 2)),
    same: fc.boolean(),
    lora: fc.constantFrom('', 'one', 'two'),
    batchSize: fc.integer({ min: 1, max: 2 }),
    /** Turns of the event loop before it is aborted. */
    abortAfter: fc.option(fc.integer({ min: 0, max: 60 }), { freq: 3 }),
  });

  it('of three models and one that nobody has loaded: all end, with the LoRAs of their passes, and nothing is read twice', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(job, { minLength: 2, maxLength: 9 }), async (list) => {
        const { fake, runtime, a, b, model, other } = await models();
        const [c, d] = [wholeCheckpoint('c'), wholeCheckpoint('d')];
        const files = [a, b, c, d];
        const owned = [model, other, await runtime.loadModel({ checkpoint: c })];
        const bases = ['', 'one', 'two'];
        for (const [index, name] of bases.entries())
          await owned[index]?.loras.set(name === '' ? [] : [{ name, weight: 1 }]);
        const fileOf = (index: number): string => files[index] ?? '';
        const expected = new Map<number, string>();
        const work = list.map(async (given, index) => {
          const start = 1000 * (index + 1);
          const lora = given.lora === '' ? (bases[given.on] ?? '') : given.lora;
          for (let image = 0; image < given.batchSize; image++)
            expected.set(start + image, lora === '' ? 'none' : lora);
          const controller = new AbortController();
          const wanted: Txt2ImgRequest = {
            ...request,
            ...{ seed: start, batchSize: given.batchSize, signal: controller.signal },
            ...(given.lora === '' ? {} : { loras: [{ name: given.lora, weight: 1 }] }),
            ...(given.refiner === null ? {} : { refiner: { checkpoint: fileOf(given.refiner) } }),
            ...(given.hires === null
              ? {}
              : {
                  hires: {
                    ...{
                      checkpoint: fileOf(given.hires),
                      modules: given.same ? ('same' as const) : ('built-in' as const),
                    },
                    ...(given.hiresRefiner === null ? {} : { refiner: { checkpoint: fileOf(given.hiresRefiner) } }),
                  },
                }),
          };
          const running = owned[given.on]?.txt2img(wanted);
          const { abortAfter } = given;
          if (abortAfter !== null)
            void (async () => {
              for (let i = 0; i < abortAfter; i++) await tick();
              controller.abort(new Error('aborted'));
            })();
          try {
            expect((await running)?.images).toHaveLength(given.batchSize);
          } catch (error) {
            if (!controller.signal.aborted || error !== controller.signal.reason) throw error;
          }
        });
        await Promise.all(work);
        const samples = sampled(fake.calls);
        for (const { loras, seed: of } of samples) expect([of, loras]).toEqual([of, expected.get(of)]);
        // Nobody works with a model between two pictures of another job's pass.
        for (const [place, { model: where, seed: of }] of samples.entries()) {
          const given = list[of / 1000 - 1];
          if (given?.batchSize !== 2 || given.abortAfter !== null) continue;
          expect(samples.slice(place + 1).find(({ model: which }) => which === where)?.seed).toBe(of + 1);
        }
        // Each of the three once; of the fourth what it is needed with: whole, or without what the first lends it.
        const reads = fake.of('loadModel').map(({ params }) => params.files.checkpoint ?? '');
        for (const file of [a, b, c]) expect(reads.filter((read) => read === file)).toHaveLength(1);
        expect(reads.filter((read) => read === d).length).toBeLessThanOrEqual(2 + list.length);
        // Aborted ones leave when their native work has let go.
        await until(() => owned.every(({ queue }) => queue.length === 0), 'empty queues');
        await runtime.dispose();
        expect(new Set(fake.disposedModels).size).toBe(fake.models);
      }),
      { seed, numRuns: 40 },
    );
  });
});
