import { describe, expect, it, vi } from 'vitest';
import type { NativeDevice } from '../../lib/native/contract.js';
import type { ProgressEvent } from '../../lib/pipeline/events.js';
import { identifyFiles } from '../../lib/sdk/identity.js';
import { cpuDevice, picture, until } from '../support/fakeAddon.js';
import { fakeModel, fakeRuntime, tinyCheckpoint, tinyUpscaler } from '../support/fakeModel.js';

const gpu: NativeDevice = { ...cpuDevice, name: 'CUDA0', type: 'gpu', backend: 'CUDA' };
const second: NativeDevice = { ...gpu, name: 'CUDA1' };
const integrated: NativeDevice = { ...cpuDevice, name: 'Vulkan0', type: 'igpu', backend: 'Vulkan' };

const request = { prompt: 'a cat', steps: 1, width: 64, height: 64, seed: 1 };

describe('createRuntime', () => {
  it('chooses a GPU before an integrated one before the CPU', async () => {
    const chosen = async (devices: NativeDevice[]): Promise<string> =>
      (await fakeRuntime({ devices })).runtime.device.name;
    expect(await chosen([cpuDevice, integrated, gpu])).toBe('CUDA0');
    expect(await chosen([cpuDevice, integrated])).toBe('Vulkan0');
    expect(await chosen([cpuDevice])).toBe('CPU');
  });

  it('takes backend and device by name', async () => {
    const devices = [cpuDevice, gpu, second];
    expect((await fakeRuntime({ devices, runtime: { backend: 'cpu' } })).runtime).toMatchObject({
      backend: 'cpu',
      device: { name: 'CPU' },
    });
    const { runtime, fake } = await fakeRuntime({ devices, runtime: { backend: 'cuda', device: 'cuda1', threads: 3 } });
    expect(runtime.device.name).toBe('CUDA1');
    await runtime.loadModel({ checkpoint: tinyCheckpoint() });
    await runtime.loadModel({ checkpoint: tinyCheckpoint(), device: 'CPU', threads: 1 });
    expect(fake.of('loadModel').map(({ params: { device, threads } }) => [device, threads])).toEqual([
      ['CUDA1', 3],
      ['CPU', 1],
    ]);
    await expect(runtime.loadModel({ checkpoint: tinyCheckpoint(), device: 'CUDA7' })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'device',
    });
  });

  it('never falls back from a backend that was asked for', async () => {
    const error = await fakeRuntime({ runtime: { backend: 'vulkan' } }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', field: 'backend', given: 'vulkan' });
    expect((error as Error).message).toMatch(/npm install --save-optional @node-diffusion\/.*-vulkan@\d/);
  });

  it('catches misspelt options', async () => {
    await expect(fakeRuntime({ runtime: { backened: 'cpu' } as never })).rejects.toMatchObject({
      field: 'backened',
      hint: expect.stringMatching(/backend/) as string,
    });
    await expect(fakeRuntime({ runtime: { backend: 'rocm' as never } })).rejects.toMatchObject({ field: 'backend' });
  });

  it('passes log lines on and survives a logger that throws', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const lines: string[] = [];
    const logger = (level: string, message: string): void => {
      lines.push(`${level} ${message}`);
      throw new Error('disk full');
    };
    const { fake, runtime } = await fakeRuntime({ runtime: { logger, logLevel: 'info' } });
    fake.logger?.('info', 'hello', 0);
    expect(lines).toEqual(['info hello']);
    expect(warnings).toHaveBeenCalledTimes(1);
    await runtime.dispose();
    expect(fake.logger).toBeNull();
    warnings.mockRestore();
  });
});

describe('loadModel', () => {
  it('tells what was loaded', async () => {
    const { model, runtime } = await fakeModel();
    expect(model.info).toMatchObject({
      architecture: 'SD 1.x',
      name: 'tiny',
      embedded: false,
      latentChannels: 4,
      bytes: 350,
      bytesByDevice: { CPU: 350 },
    });
    expect(model.info.defaults).toEqual({ width: 512, height: 512, steps: 20, cfgScale: 7, guidance: 3.5 });
    expect(model.info.files.checkpoint).toMatch(/tiny\.safetensors$/);
    expect(runtime.models).toEqual([model]);
    expect(runtime.versions).toMatchObject({ engine: '1', engineCommit: 'e', napi: 9 });
  });

  it('translates the options', async () => {
    const { fake } = await fakeModel({
      load: {
        weightType: 'q8_0',
        tensorTypeRules: { '^vae\\.': 'f16', unet: 'q4_0' },
        circular: { x: true },
        rng: 'std',
        textEncoderOnCpu: true,
        prediction: 'v',
        maxVram: 4,
        flashAttention: true,
        mmap: true,
      },
    });
    expect(fake.of('loadModel')[0]?.params).toMatchObject({
      weightType: 'q8_0',
      tensorTypeRules: '^vae\\.=f16,unet=q4_0',
      circularX: true,
      circularY: false,
      rng: 'std_default',
      samplerRng: 'std_default',
      keepTextEncoderOnCpu: true,
      keepVaeOnCpu: false,
      prediction: 'v',
      maxVram: 4,
      flashAttention: true,
      mmap: true,
      taesdPreviewOnly: false,
    });
  });

  it.each([
    [{ checkpont: 'x' }, 'checkpont'],
    [{ vae: '/x.safetensors' }, 'checkpoint'],
    [{ checkpoint: '/x', taesdPreviewOnly: true }, 'taesdPreviewOnly'],
    [{ checkpoint: '/x', weightType: 'q9' }, 'weightType'],
    [{ checkpoint: '/x', threads: -1 }, 'threads'],
    [{ checkpoint: 3 }, 'checkpoint'],
  ])('refuses %o', async (options, field) => {
    const { runtime, fake } = await fakeRuntime();
    await expect(runtime.loadModel(options as never)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field });
    expect(fake.calls).toHaveLength(0);
  });

  it.each(['a=', '=f16', 'x=f16,y=nothing', 'a=b=c', '[=f16'])(
    'refuses the tensor type rules %s',
    async (tensorTypeRules) => {
      const { runtime } = await fakeRuntime();
      await expect(runtime.loadModel({ checkpoint: tinyCheckpoint(), tensorTypeRules })).rejects.toMatchObject({
        field: 'tensorTypeRules',
      });
    },
  );

  it('names a file that is not there', async () => {
    const { runtime } = await fakeRuntime();
    await expect(runtime.loadModel({ checkpoint: '/no/such/file.safetensors' })).rejects.toMatchObject({
      code: 'ERR_MODEL_NOT_FOUND',
    });
  });

  it('reports bytes', async () => {
    const { fake, runtime } = await fakeRuntime();
    fake.events = (op) =>
      op === 'loadModel'
        ? [{ type: 'progress', phase: 'load', step: 1, total: 2, secondsPerStep: 0, bytes: 50, totalBytes: 200 }]
        : [];
    const events: ProgressEvent[] = [];
    await runtime.loadModel({ checkpoint: tinyCheckpoint(), onProgress: (event) => void events.push(event) });
    expect(events.find(({ bytes }) => bytes === 50)).toMatchObject({
      phase: 'load',
      totalBytes: 200,
      fraction: 0.25,
      images: 0,
    });
    expect(events.at(-1)?.fraction).toBe(1);
  });

  it('rejects with the reason when aborted, and frees a model that comes too late', async () => {
    const { fake, runtime } = await fakeRuntime();
    fake.hold.add('loadModel');
    fake.slowCancel = true;
    const controller = new AbortController();
    const loading = runtime.loadModel({ checkpoint: tinyCheckpoint(), signal: controller.signal });
    await until(() => fake.of('loadModel').length === 1);
    const reason = new Error('never mind');
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
    expect(fake.of('loadModel')[0]?.cancelled).toBe(true);
    fake.of('loadModel')[0]?.release();
    await until(() => fake.disposedModels.length === 1);
    expect(runtime.models).toEqual([]);
  });

  it('loads nothing under an aborted signal', async () => {
    const { fake, runtime } = await fakeRuntime();
    await expect(runtime.loadModel({ checkpoint: tinyCheckpoint(), signal: AbortSignal.abort('no') })).rejects.toBe(
      'no',
    );
    expect(fake.calls).toHaveLength(0);
  });

  it('keeps the code of native failures', async () => {
    const { fake, runtime } = await fakeRuntime();
    fake.hold.add('loadModel');
    const loading = runtime.loadModel({ checkpoint: tinyCheckpoint() });
    await until(() => fake.of('loadModel').length === 1);
    fake.of('loadModel')[0]?.fail('ERR_MODEL_UNSUPPORTED', 'unknown architecture');
    await expect(loading).rejects.toMatchObject({
      name: 'DiffusionError',
      code: 'ERR_MODEL_UNSUPPORTED',
      message: 'unknown architecture',
    });
  });
});

describe('a model', () => {
  it.each(['encodePrompt', 'sigmas', 'sample', 'decodeLatent', 'encodeImages'] as const)(
    'can be aborted in %s and used at once afterwards, with the same bytes',
    async (op) => {
      const { fake, model } = await fakeModel();
      const image = picture(64, 64, 9) as never;
      const fresh = (await model.img2img({ ...request, prompt: 'fresh', image })).images[0]?.data;
      fake.hold.add(op);
      const before = fake.of(op).length;
      const controller = new AbortController();
      const job = model.img2img({ ...request, prompt: 'aborted', image, signal: controller.signal });
      await until(() => fake.of(op).length > before);
      const reason = new Error('enough');
      controller.abort(reason);
      await expect(job).rejects.toBe(reason);
      expect(fake.of(op).at(-1)?.cancelled).toBe(true);
      fake.hold.clear();
      const { images } = await model.img2img({ ...request, image });
      expect(images[0]?.data).toEqual(fresh);
    },
  );

  it('waits for the running job when disposed, and refuses everything afterwards', async () => {
    const { fake, model, runtime } = await fakeModel();
    fake.hold.add('sample');
    const job = model.txt2img(request);
    const waiting = model.txt2img(request);
    await until(() => fake.of('sample').length === 1);
    let disposed = false;
    const disposing = model.dispose().then(() => {
      disposed = true;
    });
    await expect(waiting).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await new Promise((resolve) => setImmediate(resolve));
    expect(disposed).toBe(false);
    fake.hold.clear();
    fake.of('sample')[0]?.release();
    expect((await job).images).toHaveLength(1);
    await disposing;
    expect(fake.disposedModels).toEqual([1]);
    expect(fake.conditionings.every((conditioning) => conditioning.disposed)).toBe(true);
    expect(runtime.models).toEqual([]);
    await expect(model.txt2img(request)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(model.txt2imgStream(request).next()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(model.encodePrompt({ prompt: '' })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(model.sigmas()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await model.dispose();
    expect(fake.disposedModels).toEqual([1]);
  });

  it('aborts the running job on request', async () => {
    const { fake, model } = await fakeModel();
    fake.hold.add('sample');
    fake.slowCancel = true;
    const job = model.txt2img(request);
    await until(() => fake.of('sample').length === 1);
    const disposing = model.dispose({ abort: true });
    await expect(job).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(fake.disposedModels).toEqual([]);
    fake.of('sample')[0]?.letGo();
    await disposing;
    expect(fake.disposedModels).toEqual([1]);
  });

  it('tells the hashes of its files, and then captions carry them', async () => {
    const { model } = await fakeModel();
    expect((await model.txt2img(request)).images[0]?.infotext).not.toContain('Model hash');
    const [file] = await model.identity();
    expect(file).toMatchObject({
      role: 'checkpoint',
      path: model.info.files.checkpoint,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    });
    expect((await identifyFiles({ checkpoint: tinyCheckpoint(5) }))[0]?.sha256).not.toBe(file?.sha256);
    const text = (await model.txt2img(request)).images[0]?.infotext;
    expect(text).toContain(`Model hash: ${file?.sha256.slice(0, 10) ?? '?'}`);
    expect(text).toContain('Model: tiny');
  });

  it('has a queue to look at', async () => {
    const { fake, model } = await fakeModel();
    fake.hold.add('sample');
    const positions: number[] = [];
    const jobs = [
      model.txt2img(request),
      model.txt2img({ ...request, onQueue: ({ position }) => void positions.push(position) }),
    ];
    expect(model.queue.length).toBe(2);
    expect(model.queue.jobs.map(({ kind, running }) => [kind, running])).toEqual([
      ['txt2img', true],
      ['txt2img', false],
    ]);
    fake.hold.clear();
    await until(() => fake.of('sample').length === 1);
    fake.of('sample')[0]?.release();
    await Promise.all(jobs);
    expect(positions[0]).toBe(1);
    expect(positions.at(-1)).toBe(0);
  });
});

describe('a runtime', () => {
  it('disposes of its models and upscalers, and refuses everything afterwards', async () => {
    const { fake, runtime } = await fakeModel();
    const other = await runtime.loadModel({ checkpoint: tinyCheckpoint() });
    const upscaler = await runtime.loadUpscaler({ file: tinyUpscaler() });
    await runtime[Symbol.asyncDispose]();
    expect(fake.disposedModels.sort()).toEqual([1, 2]);
    await expect(other.txt2img(request)).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(upscaler.upscale({ image: picture(8, 8, 1) as never })).rejects.toMatchObject({
      code: 'ERR_DISPOSED',
    });
    await expect(runtime.loadModel()).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await expect(runtime.loadUpscaler({ file: 'x' })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
    await runtime.dispose();
  });

  it('waits for a load under way, or aborts it', async () => {
    const patient = await fakeRuntime();
    patient.fake.hold.add('loadModel');
    const loading = patient.runtime.loadModel({ checkpoint: tinyCheckpoint() });
    await until(() => patient.fake.of('loadModel').length === 1);
    const disposing = patient.runtime.dispose();
    patient.fake.of('loadModel')[0]?.release();
    await Promise.all([loading, disposing]);
    expect(patient.fake.disposedModels).toEqual([1]);

    const hasty = await fakeRuntime();
    hasty.fake.hold.add('loadModel');
    const aborted = hasty.runtime.loadModel({ checkpoint: tinyCheckpoint() });
    await until(() => hasty.fake.of('loadModel').length === 1);
    const both = Promise.allSettled([aborted, hasty.runtime.dispose({ abort: true })]);
    expect(await both).toMatchObject([
      { status: 'rejected', reason: { code: 'ERR_ABORTED' } },
      { status: 'fulfilled' },
    ]);
  });

  it('upscales pictures, which keep what they were made from', async () => {
    const { runtime, model } = await fakeModel();
    const upscaler = await runtime.loadUpscaler({ file: tinyUpscaler() });
    const [image] = (await model.txt2img(request)).images;
    if (image === undefined) throw new Error('no image');
    const large = await upscaler.upscale({ image });
    expect(large).toMatchObject({ width: 128, height: 128, seed: 1, infotext: image.infotext });
    await expect(runtime.loadUpscaler({ file: '/no/such.pth' })).rejects.toMatchObject({
      code: 'ERR_MODEL_NOT_FOUND',
      field: 'file',
    });
  });
});
