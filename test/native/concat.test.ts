import { beforeAll, describe, expect, it } from 'vitest';
import { type Conditioning, createRuntime, Latent, type Model } from '../../lib/index.js';
import { edge, failure, hashes, paint, sha256, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, writeSynthetic } from '../support/synthetic/index.js';

// A narrow FLUX that reads the latent of a control picture beside its own: the smallest model that reads channels.
const kind = 'flux-controls';
const scratch = useScratch(syntheticBytes(kind) * 1.05);
let model: Model;
let conditioning: Conditioning;

beforeAll(async () => {
  const checkpoint = scratch.path('control.safetensors');
  await writeSynthetic(kind, checkpoint, { seed: 1 });
  const runtime = await createRuntime({ backend: 'cpu', threads });
  model = await runtime.loadModel({ checkpoint });
  conditioning = await model.encodePrompt({ prompt: tiny.prompt, negativePrompt: '' });
  return () => runtime.dispose({ abort: true });
});

const picture = paint((x, y) => [4 * x, 4 * y, 128]);
const request = { ...tiny, steps: 1 };
const { prompt: _, width, height, ...sampling } = request;

function sampled(channels: { concat?: Float32Array; uncondConcat?: Float32Array }, cfgScale = 1): Promise<Latent> {
  return model.sample({ ...sampling, cfgScale, conditioning, width, height, ...channels });
}

async function decoded(latent: Latent): Promise<string[]> {
  return hashes({ images: [...(await model.decodeLatent({ latent }))] });
}

describe('channels beside the latent', () => {
  it('are what the picture modes make of a control picture, byte for byte', async () => {
    const { concatChannels, latentChannels, scaleFactor } = model.info;
    expect(concatChannels).toBe(latentChannels);
    const control = await model.encodeImage({ image: picture, seed: tiny.seed });
    expect(control.shape).toEqual([1, concatChannels, edge / scaleFactor, edge / scaleFactor]);
    const whole = hashes(await model.txt2img({ ...request, controlImage: picture }));
    expect(await decoded(await sampled({ concat: control.toFloat32Array() }))).toEqual(whole);
    const plain = hashes(await model.txt2img(request));
    expect(await decoded(await sampled({}))).toEqual(plain);
    expect(plain).not.toEqual(whole);
  });

  it('count for the evaluation without the text too, where there is one', async () => {
    const ones = Latent.zeros(width, height, model.latentSpace).toFloat32Array().fill(1);
    const numbers = async (latent: Promise<Latent>): Promise<string> => sha256((await latent).toFloat32Array());
    const [both, one] = [{ concat: ones, uncondConcat: ones }, { concat: ones }];
    expect(await numbers(sampled(both, 3))).not.toBe(await numbers(sampled(one, 3)));
    expect(await numbers(sampled(both))).toBe(await numbers(sampled(one)));
  });

  // Having built a graph, the engine's lists of a FLUX's weights have holes.
  it('leave the memory of a model that has made a picture to be told', async () => {
    await sampled({});
    const { byDevice, compiled } = await model.memory();
    expect(byDevice.CPU?.weights).toBe(model.info.bytes);
    expect(compiled).toEqual({ textEncoder: 0, diffusionModel: 0, vae: 0, controlNet: 0 });
  });

  it('of a wrong size are refused, and the model goes on', async () => {
    const error = await failure(sampled({ concat: new Float32Array(3) }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'concat' });
    expect(error.message).toContain(`${String(model.info.concatChannels)} channels x 8 x 8`);
    expect((await sampled({})).shape).toEqual([1, model.info.latentChannels, 8, 8]);
  });
});
