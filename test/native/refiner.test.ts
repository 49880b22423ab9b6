import { constants } from 'node:fs';
import { copyFile, open, symlink } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  ensureEmbeddedModel,
  infotextToRequest,
  type ImageInput,
  Latent,
  type Model,
  type ProgressEvent,
} from '../../lib/index.js';
import { embeddedName } from '../../lib/model/embedded/pins.js';
import type { NativeModel, NativeTensor } from '../../lib/native/index.js';
import { deviation, edge, expectPicture, hashes, only, rawAddon, rejection, threads, tiny } from '../support/native.js';
import { useModel } from '../support/native.js';
import { loadOptions, promptParams, sampleParams } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';

const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 30);
let files: { checkpoint: string; taesd: string };
/** The same weights under another name: another checkpoint for all that anybody knows. */
let copy: string;
/** With a diffusion model that predicts otherwise. */
let other: string;

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  files = { checkpoint, taesd };
  copy = scratch.path('copy.safetensors');
  await symlink(checkpoint, copy);
  other = scratch.path('other.safetensors');
  await copyFile(checkpoint, other, constants.COPYFILE_FICLONE);
  await clearPart(other, 'model.diffusion_model.out.2.weight');
});

/** Sets the first quarter of a tensor to zero. */
async function clearPart(path: string, name: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const length = Buffer.alloc(8);
    await file.read(length, 0, 8, 0);
    const header = Buffer.alloc(Number(length.readBigUInt64LE(0)));
    await file.read(header, 0, header.length, 8);
    const tensors = JSON.parse(header.toString()) as Record<string, { data_offsets: [number, number] } | undefined>;
    const [begin, end] = tensors[name]?.data_offsets ?? [0, 0];
    expect(end).toBeGreaterThan(begin);
    await file.write(Buffer.alloc((end - begin) / 4), 0, undefined, 8 + header.length + begin);
  } finally {
    await file.close();
  }
}

const job = { ...tiny, steps: 4 };
const itself = (switchAt: number) => ({ checkpoint: copy, modules: [files.taesd], switchAt });

describe('a refiner of the same weights', () => {
  // Those that remember nothing, remember past steps, evaluate twice in a step, and draw noise.
  it.each(['euler', 'dpm++2m', 'heun', 'euler_a', 'dpm++2s_a', 'lcm', 'er_sde'])(
    'makes the bytes of the run that nobody interrupts: %s',
    async (sampler) => {
      const request = { ...job, sampler, batchSize: 2 };
      const whole = hashes(await fixture.model.txt2img(request));
      expect(new Set(whole).size).toBe(2);
      for (const switchAt of sampler === 'dpm++2m' ? [0.25, 0.5, 0.75] : [0.5])
        expect(hashes(await fixture.model.txt2img({ ...request, refiner: itself(switchAt) }))).toEqual(whole);
    },
  );

  it('with guidance, a variation, img2img, a mask and a hires pass', async () => {
    const { model } = fixture;
    const image = only(await model.txt2img(tiny)) as ImageInput;
    const mask = {
      ...{ width: edge, height: edge, channels: 1 as const },
      data: new Uint8Array(edge * edge).fill(255, 0, (edge * edge) / 2),
    };
    const start = { ...job, seed: 9, image, denoisingStrength: 0.6, sampler: 'euler_a' };
    const refiner = itself(0.5);
    const varied = { ...job, cfgScale: 3, negativePrompt: 'a car', variationSeed: 4, variationStrength: 0.4 };
    expect(hashes(await model.txt2img({ ...varied, refiner }))).toEqual(hashes(await model.txt2img(varied)));
    expect(hashes(await model.img2img({ ...start, refiner }))).toEqual(hashes(await model.img2img(start)));
    const painted = { ...start, mask, maskedContent: 'latent noise' as const };
    expect(hashes(await model.inpaint({ ...painted, refiner }))).toEqual(hashes(await model.inpaint(painted)));
    const hires = { width: 2 * edge, height: edge, denoisingStrength: 0.6, steps: 2 };
    const plain = hashes(await model.txt2img({ ...job, hires }));
    expect(hashes(await model.txt2img({ ...job, refiner, hires }))).toEqual(plain);
    expect(hashes(await model.txt2img({ ...job, hires: { ...hires, refiner } }))).toEqual(plain);
  });

  it('tells its steps and previews as parts of the run', async () => {
    const steps: string[] = [];
    const previews: string[] = [];
    const fractions: number[] = [];
    await fixture.model.txt2img({
      ...job,
      refiner: itself(0.75),
      preview: { mode: 'projection' },
      onProgress: ({ phase, step, total, fraction }: ProgressEvent) => {
        fractions.push(fraction);
        if (phase === 'sample' && step > 0) steps.push(`${String(step)}/${String(total)}`);
      },
      onPreview: ({ step, total }) => void previews.push(`${String(step)}/${String(total)}`),
    });
    expect([...new Set(steps)]).toEqual(['1/3', '2/3', '3/3', '1/1']);
    expect(previews).toEqual(['1/3', '2/3', '3/3', '1/1']);
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
  });

  it('in an isolated engine has the same bytes', async () => {
    const whole = hashes(await fixture.model.txt2img({ ...job, sampler: 'euler_a' }));
    const runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process' });
    const model = await runtime.loadModel({ mmap: true });
    expect(hashes(await model.txt2img({ ...job, sampler: 'euler_a', refiner: itself(0.5) }))).toEqual(whole);
    await runtime.dispose();
  });

  it('that is aborted leaves models that give the same bytes', async () => {
    const whole = hashes(await fixture.model.txt2img(job));
    const controller = new AbortController();
    const reason = new Error('enough');
    const aborted = fixture.model.txt2img({
      ...{ ...job, signal: controller.signal, refiner: itself(0.25) },
      onProgress: ({ phase, step, total }) => {
        if (phase === 'sample' && total === 3 && step === 1) controller.abort(reason);
      },
    });
    expect(await rejection(aborted)).toBe(reason);
    expect(hashes(await fixture.model.txt2img({ ...job, refiner: itself(0.25) }))).toEqual(whole);
  });
});

describe('a refiner of other weights', () => {
  let raw: NativeModel;
  let second: Model;
  beforeAll(async () => {
    raw = await rawAddon().loadModel(loadOptions(files, { mmap: true }), null).promise;
    second = await fixture.runtime.loadModel({ checkpoint: other, taesd: files.taesd, mmap: true });
  });
  afterAll(async () => {
    await second.dispose();
    await raw.dispose();
  });

  it('goes on with the latent of the first: Euler by hand, byte for byte', async () => {
    const { prompt, sampler, width, height, seed } = tiny;
    const refiner = { checkpoint: other, modules: [files.taesd], switchAt: 0.5 };
    const events: string[] = [];
    const made = await fixture.model.txt2img({
      ...job,
      refiner,
      onModel: ({ action, model }) => void events.push(`${action} ${model}`),
    });
    // Loaded by hand before, so nothing is loaded.
    expect(events).toEqual(['switch other']);

    const sigmas = await fixture.model.sigmas({ steps: 4, sampler, schedule: tiny.schedule, width, height });
    const cond = await raw.encodePrompt(promptParams(), null).promise;
    const params = { ...sampleParams(cond), sigmas, seed, stopAfter: 2 };
    const predictions = await raw.sample(params, null).promise;
    expect(predictions.shape).toEqual([2, 4, edge / 8, edge / 8]);
    const noise = await raw.noise({ seed, width: width / 8, height: height / 8 }).promise;
    const latent = eulerSteps(noise, sigmas, predictions);
    const { latentSpace } = second;
    using conditioning = await second.encodePrompt({ prompt, negativePrompt: '', width, height });
    const finished = await second.sample({
      ...{ conditioning, sampler, cfgScale: tiny.cfgScale, sigmas: sigmas.slice(2) },
      latent: Latent.from(latent.data, latent.shape, latentSpace),
      noise: Latent.zeros(width, height, latentSpace),
    });
    expect(hashes({ images: (await second.decodeLatent({ latent: finished })) as never })).toEqual(hashes(made));
  });

  it('makes neither the picture of the one nor that of the other, and reads back from its infotext', async () => {
    const refiner = { checkpoint: other, modules: [files.taesd], switchAt: 0.5 };
    const made = await fixture.model.txt2img({ ...job, refiner });
    const image = only(made);
    expectPicture(image, edge, edge);
    expect(deviation(Float32Array.from(image.data))).toBeGreaterThan(1);
    expect(hashes(made)).not.toEqual(hashes(await fixture.model.txt2img(job)));
    expect(hashes(made)).not.toEqual(hashes(await second.txt2img(job)));
    const { infotext } = image;
    expect(infotext).toContain('Refiner: other, Refiner switch at: 0.5');
    expect(infotext).not.toContain(other);
    const found: Readonly<Record<string, string>> = { other, [`${embeddedName}-taesd`]: files.taesd };
    const request = infotextToRequest(infotext, { mode: 'txt2img', files: found });
    expect(request.refiner).toEqual(refiner);
    expect(hashes(await fixture.model.txt2img(request))).toEqual(hashes(made));
  });

  it('is refused with predictions that are not those of its run', async () => {
    const cond = await raw.encodePrompt(promptParams(), null).promise;
    const params = { ...sampleParams(cond), sigmas: Float32Array.from([10, 5, 0]) };
    const cells = edge / 8;
    const of = (shape: number[]): NativeTensor => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)) });
    for (const change of [
      { stopAfter: 2 },
      { stopAfter: -1 },
      { predictions: of([1, 4, cells, 2 * cells]) },
      { predictions: of([1, 3, cells, cells]) },
      // More than two evaluations for the one step that another can have done.
      { predictions: of([3, 4, cells, cells]) },
    ]) {
      const error = await rejection(Promise.resolve().then(() => raw.sample({ ...params, ...change }, null).promise));
      expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION' });
    }
  });
});

/** Euler's steps in 32 bits, as the engine does them: x += (x - denoised) / sigma * (next - sigma). */
function eulerSteps(noise: NativeTensor, sigmas: Float32Array, predictions: NativeTensor): NativeTensor {
  const { fround } = Math;
  const [first = 0] = sigmas;
  const data = noise.data.map((value) => fround(value * first));
  for (let step = 0; step < (predictions.shape[0] ?? 0); step++) {
    const [sigma = 0, next = 0] = sigmas.subarray(step, step + 2);
    for (let i = 0; i < data.length; i++) {
      const x = data[i] ?? 0;
      const denoised = predictions.data[step * data.length + i] ?? 0;
      data[i] = fround(x + fround(fround(fround(x - denoised) / sigma) * fround(next - sigma)));
    }
  }
  return { shape: noise.shape, data };
}
