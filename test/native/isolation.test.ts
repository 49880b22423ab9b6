import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  ensureEmbeddedModel,
  type LogSource,
  type Model,
  type PreviewEvent,
  type Runtime,
} from '../../lib/index.js';
import { crash, expectGone, pidOf, small, strike } from '../support/isolation.js';
import { hashes, only, paint, rejection, sha256, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

const scratch = useScratch(50e6);
const lines: { message: string; source: LogSource }[] = [];
let here: { runtime: Runtime; model: Model };
let there: { runtime: Runtime; model: Model };

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const load = async (runtime: Runtime) => ({
    runtime,
    model: await runtime.loadModel({ checkpoint, taesd, mmap: true }),
  });
  here = await load(await createRuntime({ backend: 'cpu', threads }));
  const logger = (_level: string, message: string, source: LogSource): void => void lines.push({ message, source });
  there = await load(await createRuntime({ backend: 'cpu', threads, isolation: 'process', logLevel: 'info', logger }));
});
afterAll(async () => {
  await here.runtime.dispose({ abort: true });
  await there.runtime.dispose({ abort: true });
});

/** What a batch shows: previews, progress of sampling, pixels. */
async function batch(model: Model) {
  const previews: string[] = [];
  const steps: number[] = [];
  const result = await model.txt2img({
    ...tiny,
    batchSize: 2,
    preview: { mode: 'projection', every: 1 },
    onPreview: ({ step, preview }: PreviewEvent) => void previews.push(`${String(step)} ${sha256(preview.data)}`),
    onProgress: ({ phase, step }) => void (phase === 'sample' && steps.push(step)),
  });
  return { previews, steps, pixels: hashes(result) };
}

describe('an isolated engine', () => {
  it('makes the pictures, previews and events of the engine in this process', async () => {
    const expected = await batch(here.model);
    expect(expected.previews.length).toBeGreaterThan(0);
    expect(await batch(there.model)).toEqual(expected);
  });

  it('makes the same of a picture, a mask and a cached prompt', async () => {
    const request = {
      ...tiny,
      image: paint((x, y) => [x * 3, y * 3, 90]),
      mask: paint((x) => (x < 32 ? [255, 255, 255] : [0, 0, 0])),
      denoisingStrength: 0.5,
      // Their noise comes from the engine by a call of its own.
      ...({ maskedContent: 'latent noise', variationSeed: 9, variationStrength: 0.5 } as const),
    };
    expect(hashes(await there.model.inpaint(request))).toEqual(hashes(await here.model.inpaint(request)));
  });

  it('makes the same step by step', async () => {
    const stepwise = async (model: Model): Promise<string[]> => {
      using conditioning = await model.encodePrompt({ prompt: tiny.prompt });
      const { steps, width, height, sampler, schedule, seed } = tiny;
      const latent = await model.sample({ conditioning, steps, width, height, sampler, schedule, seed, cfgScale: 3 });
      const [image] = await model.decodeLatent({ latent });
      const sigmas = await model.sigmas({ steps: 7 });
      return [sha256(latent.toNative().data), sha256(image?.data ?? new Uint8Array()), sha256(sigmas)];
    };
    expect(await stepwise(there.model)).toEqual(await stepwise(here.model));
  });

  it('enlarges to the same bytes', async () => {
    const file = scratch.path('up.safetensors');
    await writeUpscaler(file, { scale: 2, weights: { seed: 3 } });
    const enlarge = async ({ runtime }: { runtime: Runtime }): Promise<string> => {
      await using upscaler = await runtime.loadUpscaler({ file });
      return sha256((await upscaler.upscale({ image: small })).data);
    };
    expect(await enlarge(there)).toBe(await enlarge(here));
  });

  it('tells of itself what the engine here tells', () => {
    const { runtime, model } = there;
    expect(runtime.versions).toEqual(here.runtime.versions);
    expect(runtime.device.name).toBe(here.runtime.device.name);
    expect(runtime.backends.map(({ loaded }) => loaded)).toEqual(here.runtime.backends.map(({ loaded }) => loaded));
    expect({ ...model.info }).toEqual({ ...here.model.info });
    expect(pidOf(runtime)).not.toBe(process.pid);
    expect(here.runtime.childPid).toBeUndefined();
  });

  it.runIf(process.platform === 'linux')('shares memory that has no name', () => {
    const maps = readFileSync(`/proc/${String(pidOf(there.runtime))}/maps`, 'utf8');
    expect(maps).toContain('/memfd:node-diffusion (deleted)');
    // The weights are there and not here, backend modules too.
    expect(maps).toMatch(/libggml-cpu/);
  });

  it('gives log lines their job', async () => {
    lines.length = 0;
    await there.model.sigmas({ steps: 3 });
    const [line] = lines.filter(({ message }) => message.includes('discrete'));
    expect(line?.source).toMatchObject({ model: there.model.info.name, kind: 'sigmas' });
    expect(line?.source.job).toBeGreaterThan(0);
  });

  it('stops a job when its signal aborts, and lives on', async () => {
    const pid = pidOf(there.runtime);
    const controller = new AbortController();
    const reason = new Error('enough');
    const onProgress = (): void => {
      controller.abort(reason);
    };
    const job = there.model.txt2img({ ...tiny, steps: 100, signal: controller.signal, onProgress });
    expect(await rejection(job)).toBe(reason);
    const next = await there.model.txt2img(tiny);
    expect(pidOf(there.runtime)).toBe(pid);
    expect(only(next).data.length).toBe(64 * 64 * 3);
  });

  it('is killed in the middle, and what waited runs in a fresh process with its conditioning made again', async () => {
    const { runtime, model } = there;
    const expected = hashes(await here.model.txt2img(tiny));
    using conditioning = await model.encodePrompt({ prompt: tiny.prompt });
    let struck = 0;
    const onProgress = ({ phase }: { phase: string }): void => {
      if (phase === 'sample' && struck === 0) struck = strike(runtime, 'SIGKILL');
    };
    const lost = model.txt2img({ ...tiny, steps: 50, onProgress });
    const waiting = [model.txt2img(tiny), model.txt2img(tiny)];
    const error = await crash(lost);
    expect(error.message).toContain('SIGKILL');
    expect(error.message).toContain('memory');
    expect(error.log.join('\n')).toContain('get_sigmas');
    for (const job of waiting) expect(hashes(await job)).toEqual(expected);
    expect(pidOf(runtime)).not.toBe(struck);
    const { steps, width, height, sampler, schedule, seed } = tiny;
    const shape = { steps, width, height, sampler, schedule, seed, cfgScale: 1 };
    using original = await here.model.encodePrompt({ prompt: tiny.prompt });
    expect(sha256((await model.sample({ conditioning, ...shape })).toNative().data)).toBe(
      sha256((await here.model.sample({ conditioning: original, ...shape })).toNative().data),
    );
    await expectGone(struck);
  });

  it('ends with its runtime', async () => {
    const pid = pidOf(there.runtime);
    await there.runtime.dispose();
    expect(there.runtime.childPid).toBeUndefined();
    await expectGone(pid);
  });
});
