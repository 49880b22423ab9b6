import { symlink, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel } from '../../lib/index.js';
import type { NativeJobMemory, NativeLoadOptions, NativeMeasureParams, NativeModel } from '../../lib/native/index.js';
import { failure, rawAddon, rejection, tiny, useModel } from '../support/native.js';
import { loadOptions, measureParams, promptParams } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, type SyntheticKind, writeHollow } from '../support/synthetic/index.js';

const mib = 2 ** 20;
const addon = rawAddon();
const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 26);
let load: NativeLoadOptions;

beforeAll(async () => {
  load = loadOptions(await ensureEmbeddedModel());
});

function unloaded(change: Partial<NativeMeasureParams> = {}, of = load): Promise<NativeJobMemory> {
  return addon.measureJob({ load: of, job: measureParams(change) }).promise;
}

async function loaded(of: NativeLoadOptions): Promise<NativeModel> {
  return addon.loadModel(of, null).promise;
}

describe('a job of a model that is not loaded', () => {
  const tiles = { enabled: true, tileSizeX: 8, tileSizeY: 8, overlap: 0.5 };
  const long = { ...promptParams(), prompt: 'a red apple on a table, '.repeat(40) };
  const shapes: readonly (readonly [string, Partial<NativeMeasureParams>])[] = [
    ['all stages', {}],
    ['a larger picture', { width: 256, height: 128, encode: [{ width: 256, height: 128 }] }],
    ['one prompt, of several chunks', { prompts: [long] }],
    ['tiles', { width: 128, height: 128, encodeTiling: tiles, decodeTiling: tiles }],
    ['previews', { preview: 'vae' }],
    ['the VAE alone', { prompts: [] }],
    ['prompts alone', { sample: false, encode: [], decode: false }],
  ];

  it('measures what it measures loaded', async () => {
    const model = await loaded(load);
    const seen = new Set<string>();
    for (const [name, change] of shapes) {
      const measured = await unloaded(change);
      expect([name, measured]).toEqual([name, await model.measure(measureParams(change)).promise]);
      seen.add(JSON.stringify(measured));
      const { prompts, sample } = measureParams(change);
      expect([name, measured.textEncoder.graph > 0]).toEqual([name, prompts.length > 0]);
      expect([name, measured.diffusion.graph > 0]).toEqual([name, sample && prompts.length > 0]);
    }
    expect(seen.size).toBe(shapes.length);
    await model.dispose();
  });

  it('of SD 2.x, which the engine tries out to see what it predicts, too', async () => {
    const checkpoint = scratch.path('sd2.safetensors');
    await writeHollow('sd2-tiny', checkpoint);
    const options = loadOptions({ checkpoint });
    const measured = await unloaded({}, options);
    const model = await loaded(options);
    expect(measured).toEqual(await model.measure(measureParams()).promise);
    await model.dispose();
  });

  it.each<SyntheticKind>(['sdxl-vega', 'sd3-medium-t5', 'flux-narrow'])(
    'of %s takes no memory for its weights',
    async (kind) => {
      const checkpoint = scratch.path(`${kind}.safetensors`);
      await writeHollow(kind, checkpoint);
      const before = process.memoryUsage.rss();
      const { textEncoder, diffusion, vaeEncode, vaeDecode } = await unloaded({}, loadOptions({ checkpoint }));
      expect(process.memoryUsage.rss() - before).toBeLessThan(256 * mib);
      expect(syntheticBytes(kind)).toBeGreaterThan(400 * mib);
      for (const { graph } of [textEncoder, diffusion, vaeEncode, vaeDecode]) {
        expect(graph).toBeGreaterThan(mib);
        // Weights would count among the graphs if they were taken for something to allocate.
        expect(graph).toBeLessThan(512 * mib);
      }
    },
  );

  it('is refused where a size does not fit the model, and where there is no encoder', async () => {
    for (const change of [
      { width: 72 },
      { encode: [{ width: 60, height: 64 }] },
      { references: [{ width: 8, height: 9 }] },
    ])
      expect(await rejection(unloaded(change))).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    const blind = { ...load, vaeDecodeOnly: true };
    expect(await rejection(unloaded({}, blind))).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    expect((await unloaded({ encode: [] }, blind)).vaeDecode.graph).toBeGreaterThan(0);
  });

  it('rejects with what is wrong with the files', async () => {
    const missing = loadOptions({ checkpoint: scratch.path('nothing.safetensors') });
    expect(await rejection(unloaded({}, missing))).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND' });
    const checkpoint = scratch.path('text.safetensors');
    await writeFile(checkpoint, 'no model at all\n'.repeat(99));
    expect(await rejection(unloaded({}, loadOptions({ checkpoint })))).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' });
  });

  it('can be stopped', async () => {
    const job = addon.measureJob({ load, job: measureParams() });
    await sleep(1);
    job.cancel();
    expect(await rejection(job.promise)).toMatchObject({ code: 'ERR_ABORTED' });
    expect((await unloaded()).diffusion.graph).toBeGreaterThan(0);
  });
});

describe('a hires checkpoint', () => {
  it('that has room but no room for its pass is refused before the first step', async () => {
    const { checkpoint: embedded, taesd } = await ensureEmbeddedModel();
    // By its own name it would be the model itself.
    const checkpoint = scratch.path('another.safetensors');
    await symlink(embedded, checkpoint);
    const { model } = fixture;
    const small = await model.estimate(tiny);
    // As large as this test may make it: only the second pass is so large.
    const job = {
      ...{ ...tiny, tiling: false as const },
      hires: { width: 1024, height: 1024, steps: 1, checkpoint, modules: [taesd], strict: true },
    };
    const memoryLimit = 2 * model.info.bytes + small.job + 256 * mib;
    for (const isolation of ['none', 'process'] as const) {
      const runtime = await createRuntime({ backend: 'cpu', threads: 1, memoryLimit, isolation });
      const limited = await runtime.loadModel();
      const phases = new Set<string>();
      const error = await failure(limited.txt2img({ ...job, onProgress: ({ phase }) => void phases.add(phase) }));
      expect(error.code).toBe('ERR_OUT_OF_MEMORY');
      expect(error.message).toMatch(/^The hires pass with ".*" needs .* memoryLimit/);
      expect([...phases]).toEqual([]);
      expect((await limited.estimate(job)).fits).toBe(false);
      expect((await limited.txt2img(tiny)).images).toHaveLength(1);
      await runtime.dispose();
    }
  });
});
