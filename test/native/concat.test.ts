import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, Latent, type Model } from '../../lib/index.js';
import { edge, failure, hashes, paint, sha256, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, writeSynthetic } from '../support/synthetic/index.js';

// A narrow FLUX that reads the latent of a control picture beside its own: the smallest model that reads channels.
const kind = 'flux-controls';
const scratch = useScratch(syntheticBytes(kind) * 1.05);
let model: Model;

beforeAll(async () => {
  const checkpoint = scratch.path('control.safetensors');
  await writeSynthetic(kind, checkpoint, { seed: 1 });
  const runtime = await createRuntime({ backend: 'cpu', threads });
  model = await runtime.loadModel({ checkpoint });
  return () => runtime.dispose({ abort: true });
});

const picture = paint((x, y) => [4 * x, 4 * y, 128]);
const { prompt, width, height, ...sampling } = tiny;

/** Pixels of `sample` with the given channels. */
async function drawn(channels: { concat?: Float32Array; uncondConcat?: Float32Array }, cfgScale = 1): Promise<string> {
  using conditioning = await model.encodePrompt({ prompt, negativePrompt: cfgScale === 1 ? null : '' });
  const latent = await model.sample({ ...sampling, cfgScale, conditioning, width, height, ...channels });
  const [image] = await model.decodeLatent({ latent });
  return sha256(image?.data ?? new Uint8Array());
}

describe('channels beside the latent', () => {
  it('are what the picture modes make of a control picture, byte for byte', async () => {
    const { concatChannels, latentChannels, scaleFactor } = model.info;
    expect(concatChannels).toBe(latentChannels);
    const control = await model.encodeImage({ image: picture, seed: tiny.seed });
    expect(control.shape).toEqual([1, concatChannels, edge / scaleFactor, edge / scaleFactor]);
    const whole = await model.txt2img({ ...tiny, controlImage: picture });
    expect([await drawn({ concat: control.toFloat32Array() })]).toEqual(hashes(whole));
    const plain = [await drawn({})];
    expect(plain).toEqual(hashes(await model.txt2img(tiny)));
    expect(plain).not.toEqual(hashes(whole));
  });

  it('count for the evaluation without the text too', async () => {
    const ones = Latent.zeros(width, height, model.latentSpace).toFloat32Array().fill(1);
    const [both, one] = [await drawn({ concat: ones, uncondConcat: ones }, 3), await drawn({ concat: ones }, 3)];
    expect(both).not.toBe(one);
    // Without guidance nothing is evaluated without the text.
    expect(await drawn({ concat: ones, uncondConcat: ones })).toBe(await drawn({ concat: ones }));
  });

  it('of a wrong size are refused, and the model goes on', async () => {
    const error = await failure(drawn({ concat: new Float32Array(3) }));
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'concat' });
    expect(error.message).toContain(`${String(model.info.concatChannels)} channels x 8 x 8`);
    expect(await drawn({})).toBe(await drawn({}));
  });
});
