import { symlink } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { peakRss, processRss } from '../../lib/memory/index.js';
import { createRuntime, ensureEmbeddedModel, Latent, type Model, type Runtime } from '../../lib/index.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { hiresSigmas, hiresSteps } from '../../lib/pipeline/hires/steps.js';
import { hiresSize } from '../../lib/pipeline/hires/size.js';
import { upscaleLatent } from '../../lib/pipeline/hires/upscaleLatent.js';
import { upscalePixels } from '../../lib/pipeline/hires/upscalePixels.js';
import { edge, expectPicture, hashes, only, sha256, threads, tiny, useModel } from '../support/native.js';
import { recompilingModel } from '../support/nativeHires.js';
import { useScratch } from '../support/scratch.js';

const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 20);
let files: { checkpoint: string; taesd: string };
/** The same weights under another name: another checkpoint for all that anybody knows. */
let copy: string;

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  files = { checkpoint, taesd };
  copy = scratch.path('copy.safetensors');
  await symlink(checkpoint, copy);
});

const hires = { width: 2 * edge, height: edge, denoisingStrength: 0.6, steps: 2 } as const;
const latentJob = { ...tiny, hires: { ...hires, upscaler: 'latent-bicubic' } };
const pixelJob = { ...tiny, hires: { ...hires, upscaler: 'lanczos', steps: 1 } };

let [byLatent, byPixels]: [string[], string[]] = [[], []];
beforeAll(async () => {
  byLatent = hashes(await fixture.model.txt2img(latentJob));
  byPixels = hashes(await fixture.model.txt2img(pixelJob));
});

const size = hiresSize({ width: edge, height: edge }, hires, { sizeMultiple: 64, scaleFactor: 8 });

/** The noise levels of a second pass, by hand. */
async function levels(model: Model, steps: number): Promise<Float32Array> {
  const asked = hiresSteps(steps, hires.denoisingStrength);
  const { sampler, schedule } = tiny;
  const all = await model.sigmas({ steps: asked.total, sampler, schedule, width: size.width, height: size.height });
  return hiresSigmas(all, asked);
}

describe('a hires pass', () => {
  it('makes a picture that the first pass alone does not', async () => {
    const image = only(await fixture.model.txt2img(latentJob));
    expectPicture(image, 2 * edge, edge);
    expect(hashes({ images: [image] })).toEqual(byLatent);
    expect(byLatent).not.toEqual(byPixels);
  });

  it('over latents is the low-level calls composed by hand, byte for byte', async () => {
    const { model } = fixture;
    const { prompt, width, height, ...sampling } = tiny;
    using conditioning = await model.encodePrompt({ prompt, negativePrompt: '', width, height });
    const first = await model.sample({ ...sampling, conditioning, width, height });
    const enlarged = upscaleLatent(first.toNative(), size, { filter: 'bicubic', antialias: false }, 8);
    const latent = Latent.from(enlarged.data, enlarged.shape as never, model.latentSpace);
    const sigmas = await levels(model, hires.steps);
    const { schedule: _schedule, steps: _steps, ...rest } = sampling;
    const second = await model.sample({ ...rest, conditioning, latent, sigmas, denoisingStrength: 1 });
    expect(hashes({ images: (await model.decodeLatent({ latent: second })) as never })).toEqual(byLatent);
  });

  it('over pixels is decodeLatent, a filter and encodeImage between two samplings, byte for byte', async () => {
    const { model } = fixture;
    const { prompt, width, height, ...sampling } = tiny;
    const picture = only(await model.txt2img(tiny));
    const enlarged = await upscalePixels(picture, size, 'lanczos');
    const latent = await model.encodeImage({ image: enlarged as never, seed: tiny.seed });
    using conditioning = await model.encodePrompt({ prompt, negativePrompt: '', width, height });
    const sigmas = await levels(model, 1);
    const { schedule: _schedule, steps: _steps, ...rest } = sampling;
    const second = await model.sample({ ...rest, conditioning, latent, sigmas, denoisingStrength: 1 });
    expect(hashes({ images: (await model.decodeLatent({ latent: second })) as never })).toEqual(byPixels);
  });

  it('has the same bytes when all weights are dropped and read anew before every sampling', async () => {
    const { model, resident, loads } = await recompilingModel(files);
    expect(hashes(await runMode(model, 'txt2img', latentJob))).toEqual(byLatent);
    expect(loads()).toBe(3);
    await resident.dispose();
  });

  it('of a copy of the checkpoint with the same tiny autoencoder has the same bytes; the second time nothing is read', async () => {
    const loads: string[] = [];
    const job = {
      ...latentJob,
      hires: { ...latentJob.hires, checkpoint: copy, modules: [files.taesd] },
      onModel: ({ action, model }: { action: string; model: string }) => void loads.push(`${action} ${model}`),
    };
    expect(hashes(await fixture.model.txt2img(job))).toEqual(byLatent);
    expect(loads).toEqual(['load copy', 'switch copy']);
    const plan = await fixture.model.plan(job);
    expect(plan.passes.map(({ model, loaded }) => [model, loaded])).toEqual([
      ['nano', true],
      ['copy', true],
    ]);
    expect(plan.peak).toBeGreaterThan(2 * fixture.model.info.bytes);
    expect(hashes(await fixture.model.txt2img(job))).toEqual(byLatent);
    expect(loads).toEqual(['load copy', 'switch copy', 'switch copy']);
  });

  it('over pictures of a first pass is one job of both', async () => {
    const { images } = await fixture.model.firstPass({ ...tiny, seed: 0, batchSize: 2 });
    const picked = images.slice(1);
    const { onModel: _none, ...options } = { onModel: undefined, ...latentJob.hires };
    expect(hashes(await fixture.model.hires(picked, options))).toEqual(byLatent);
    const png = await picked[0]?.image.toPng();
    if (png === undefined) throw new Error('No picture');
    expect(hashes(await fixture.model.hires([png], pixelJob.hires))).toEqual(byPixels);
  });

  it('that was aborted in the second pass leaves a model that gives the same bytes', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const job = fixture.model.txt2img({
      ...latentJob,
      signal: controller.signal,
      onProgress: ({ phase, fraction }) => {
        if (phase === 'sample' && fraction > 0.5) controller.abort(reason);
      },
    });
    await expect(job).rejects.toBe(reason);
    expect(hashes(await fixture.model.txt2img(latentJob))).toEqual(byLatent);
  });

  it('in an isolated engine has the same bytes', async () => {
    const runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process' });
    const model = await runtime.loadModel({ mmap: true });
    expect(hashes(await model.txt2img(latentJob))).toEqual(byLatent);
    expect(hashes(await model.txt2img(pixelJob))).toEqual(byPixels);
    await runtime.dispose();
  });
});

describe('memoryLimit with room for one model', () => {
  it('is kept, and the picture has the same bytes', async () => {
    const { model } = fixture;
    const { job } = await model.estimate({ ...tiny, width: 2 * edge, height: edge });
    // In a process of its own, so that only this counts.
    const memoryLimit = Math.round(model.info.bytes * 1.5 + job);
    const runtime: Runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process', memoryLimit });
    // The limit is on what the process has grown by since now.
    const pid = runtime.childPid ?? 0;
    const start = processRss(pid);
    const limited = await runtime.loadModel();
    const loads: string[] = [];
    const request = {
      ...latentJob,
      hires: { ...latentJob.hires, checkpoint: copy, modules: [files.taesd] },
      onModel: ({ action, model: name }: { action: string; model: string }) => void loads.push(`${action} ${name}`),
    };
    const plan = await limited.plan(request);
    expect(plan.unloads).toEqual(['nano']);
    const { images } = await limited.txt2img(request);
    // The kernel's own record misses no moment.
    const most = peakRss(pid) - start;
    expect(sha256(images[0]?.data ?? new Uint8Array())).toBe(byLatent[0]);
    expect(loads).toEqual(['unload nano', 'load copy', 'switch copy']);
    expect(most).toBeGreaterThan(model.info.bytes);
    expect(most).toBeLessThan(memoryLimit);
    // Both models together would have gone beyond it.
    expect(2 * model.info.bytes + job).toBeGreaterThan(memoryLimit);
    await runtime.dispose();
  });
});
