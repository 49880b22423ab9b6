import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type LoadModelOptions, type PreviewEvent } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { syntheticTensors, writeTensors } from '../support/synthetic/index.js';
import {
  edge,
  expectPicture,
  failure,
  only,
  paint,
  sha256,
  threads,
  tiny as small,
  useModel,
} from '../support/native.js';

const fixture = useModel();
const tiny = { ...small, steps: 1 };
let expected: Uint8Array;

beforeAll(async () => {
  expected = only(await fixture.model.txt2img(tiny)).data;
});

/** Draws with a model of these options. */
async function drawWith(options: LoadModelOptions): Promise<{ data: Uint8Array; bytes: number }> {
  await using model = await fixture.runtime.loadModel(options);
  const image = only(await model.txt2img(tiny));
  expectPicture(image);
  return { data: image.data, bytes: model.info.bytes };
}

describe('options that must not change a byte', () => {
  it.each([
    ['mmap', { mmap: true }],
    ['components on the CPU, where they are anyway', { textEncoderOnCpu: true, vaeOnCpu: true, controlNetOnCpu: true }],
    ['offloadToCpu', { offloadToCpu: true }],
    ['the weight type of the file', { weightType: 'f16' }],
    ['the device by name', { device: 'cpu' }],
    ['no cache of prompts', { conditioningCacheBytes: 0 }],
  ] as const satisfies readonly (readonly [string, LoadModelOptions])[])('%s', async (_, options) => {
    expect(sha256((await drawWith(options)).data)).toBe(sha256(expected));
  });

  it('vaeDecodeOnly, which takes less memory and refuses pictures', async () => {
    await using model = await fixture.runtime.loadModel({ vaeDecodeOnly: true });
    expect(sha256(only(await model.txt2img(tiny)).data)).toBe(sha256(expected));
    expect(model.info.canEncodeImages).toBe(false);
    expect(model.info.bytes).toBeLessThan(fixture.model.info.bytes);
    const image = paint(() => [1, 2, 3]);
    expect(await failure(model.img2img({ ...tiny, image }))).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' });
    expect(await failure(model.encodeImage({ image }))).toMatchObject({ code: 'ERR_MODEL_UNSUPPORTED' });
  });
});

describe('options that change rounding only', () => {
  it.each([
    ['flashAttention', { flashAttention: true }],
    ['diffusionConvDirect', { diffusionConvDirect: true }],
    ['vaeConvDirect', { vaeConvDirect: true }],
  ] as const)('%s', async (_, options) => {
    // f16 products rounded in another order: below one level on average.
    expect(psnr((await drawWith(options)).data, expected)).toBeGreaterThan(40);
  });

  it('weightType q8_0 takes about half the memory of f16', async () => {
    const { data, bytes } = await drawWith({ weightType: 'q8_0' });
    expect(psnr(data, expected)).toBeGreaterThan(25);
    // 8.5 bits a weight against 16; biases, norms and embeddings stay as they are.
    expect(bytes / fixture.model.info.bytes).toBeGreaterThan(8.5 / 16);
    expect(bytes / fixture.model.info.bytes).toBeLessThan(0.8);
  });

  it('tensorTypeRules convert what they name, in either form', async () => {
    const rules = { 'attn[12]\\.to_[qkv]\\.weight': 'q8_0' } as const;
    const record = await drawWith({ tensorTypeRules: rules });
    const text = await drawWith({ tensorTypeRules: 'attn[12]\\.to_[qkv]\\.weight=q8_0' });
    expect([text.bytes, sha256(text.data)]).toEqual([record.bytes, sha256(record.data)]);
    expect(record.bytes).toBeLessThan(fixture.model.info.bytes);
    expect(sha256(record.data)).not.toBe(sha256(expected));
    expect(psnr(record.data, expected)).toBeGreaterThan(25);
  });
});

describe('options that change the picture', () => {
  it('circular: both axes as one axis after the other', async () => {
    const drawn = new Map([['none', sha256(expected)]]);
    for (const circular of [true, { x: true }, { y: true }, { x: true, y: true }]) {
      drawn.set(JSON.stringify(circular), sha256((await drawWith({ circular, mmap: true })).data));
    }
    expect(drawn.get('true')).toBe(drawn.get('{"x":true,"y":true}'));
    expect(new Set(drawn.values()).size).toBe(4);
  });

  it('prediction: what the network gives is taken for something else', async () => {
    await using model = await fixture.runtime.loadModel({ prediction: 'v', mmap: true });
    expect(model.info.prediction).toBe('v');
    expect(fixture.model.info.prediction).toBe('eps');
    const image = only(await model.txt2img(tiny));
    expectPicture(image);
    expect(sha256(image.data)).not.toBe(sha256(expected));
  });
});

describe('taesd beside a VAE', () => {
  let directory: string;
  let vae: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'node-diffusion-'));
    vae = join(directory, 'vae.safetensors');
    const prefix = 'first_stage_model.';
    const tensors = syntheticTensors('sd1').filter(({ name }) => name.startsWith(prefix));
    await writeTensors(
      vae,
      tensors.map((tensor) => ({ ...tensor, name: tensor.name.slice(prefix.length) })),
      7,
    );
  });
  afterAll(() => rm(directory, { recursive: true }));

  it('taesdPreviewOnly without a VAE is a typed error that says what is missing', async () => {
    const { checkpoint = '', taesd = '' } = fixture.model.info.files;
    const error = await failure(fixture.runtime.loadModel({ checkpoint, taesd, taesdPreviewOnly: true }));
    expect(error.code).toBe('ERR_MODEL_UNSUPPORTED');
    expect(error.message).toContain('vae');
    const without = await failure(fixture.runtime.loadModel({ checkpoint, taesdPreviewOnly: true }));
    expect(without).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'taesdPreviewOnly' });
  });

  it('with one: the VAE draws the picture, previews come by each way', async () => {
    const { checkpoint = '', taesd = '' } = fixture.model.info.files;
    await using model = await fixture.runtime.loadModel({ checkpoint, vae, taesd, taesdPreviewOnly: true });
    expect(model.info.usesTaesd).toBe(false);
    expect(model.info.components.map(({ name }) => name)).toContain('previewVae');
    const seen = new Map<string, PreviewEvent>();
    let picture: Uint8Array | undefined;
    for (const mode of ['projection', 'taesd', 'vae'] as const) {
      const onPreview = (event: PreviewEvent): void => void seen.set(mode, event);
      const image = only(await model.txt2img({ ...tiny, preview: { mode }, onPreview }));
      expectPicture(image);
      expect(sha256(image.data)).toBe(sha256((picture ??= image.data)));
    }
    const data = (mode: string): Uint8Array => seen.get(mode)?.preview.data ?? new Uint8Array();
    expect(data('projection').length).toBe((edge / 8) ** 2 * 3);
    // The tiny autoencoder sees what the network meant; the VAE of random weights sees noise, as it does in the end.
    if (picture === undefined) throw new Error('nothing was drawn');
    expect(psnr(data('vae'), picture)).toBeGreaterThan(30);
    expect(psnr(data('taesd'), expected)).toBeGreaterThan(30);
    expect(psnr(picture, expected)).toBeLessThan(20);
  });

  it('latents of the one are refused by the other', async () => {
    const { checkpoint = '' } = fixture.model.info.files;
    await using model = await fixture.runtime.loadModel({ checkpoint, vae, mmap: true });
    const latent = await fixture.model.encodeImage({ image: paint((x) => [x, x, x]) });
    expect(await failure(model.decodeLatent({ latent }))).toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'latent',
    });
  });
});

describe('devices and backends', () => {
  it('an unknown device is an error that lists the known ones', async () => {
    const error = await failure(fixture.runtime.loadModel({ device: 'CUDA99' }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'device' });
    for (const { name } of fixture.runtime.devices) expect(error.message).toContain(name);
  });

  it('a backend that is not there is an error that says what to install, never another backend', async () => {
    const present = new Set(fixture.runtime.devices.map(({ backend }) => backend));
    const absent = (['cuda', 'vulkan', 'openvino'] as const).filter((backend) => !present.has(backend));
    expect(absent.length).toBeGreaterThan(0);
    for (const backend of absent) {
      const error = await failure(createRuntime({ backend, threads }));
      expect(error).toMatchObject({ code: 'ERR_BACKEND_UNAVAILABLE', field: 'backend' });
      expect(error.message).toContain(backend);
    }
  });

  it('the runtime tells what it runs on', () => {
    const { runtime, model } = fixture;
    expect(runtime.backend).toBe('cpu');
    expect(runtime.device.memoryTotal).toBeGreaterThan(0);
    expect(runtime.backends.some(({ loaded }) => loaded)).toBe(true);
    expect(Object.keys(model.info.bytesByDevice)).toEqual([runtime.device.name]);
    expect(Object.values(model.info.bytesByDevice)).toEqual([model.info.bytes]);
  });
});
