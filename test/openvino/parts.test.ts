import { describe, expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel, Latent, type Model, type ModelFileOptions } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { closeness } from '../support/closeness.js';
import { edge, expectPicture, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { shapeRequests } from '../support/shapeRequests.js';
import { syntheticBytes, type SyntheticKind, writeSynthetic } from '../support/synthetic/index.js';

/** The four networks beside each other: text encoder, VAE encoder, diffusion model, VAE decoder. */
interface Parts {
  readonly context: Float32Array;
  readonly encoded: Float32Array;
  readonly sampled: Float32Array;
  /** Eight bits: the engine has no other form of it. */
  readonly pixels: Uint8Array;
}

const { image } = shapeRequests('img2img');
if (image === undefined) throw new Error('An img2img request has a picture');
const { prompt, sampler, seed } = tiny;

/** What each part of a model makes of the same input; after the text encoder that is what the other backend made, where given. */
async function partsOf(model: Model, other?: Parts): Promise<Parts> {
  const latentOf = (data: Float32Array): Latent => {
    const { channels, scaleFactor } = model.latentSpace;
    return Latent.from(data, [1, channels, edge / scaleFactor, edge / scaleFactor], model.latentSpace);
  };
  using conditioning = await model.encodePrompt({ prompt, negativePrompt: null });
  const context = conditioning.context()?.data;
  if (context === undefined) throw new Error('The conditioning lies in another process');
  const encoded = (await model.encodeImage({ image: image ?? new Uint8Array(), seed })).toFloat32Array();
  const latent = latentOf(other?.encoded ?? encoded);
  // One of two steps: one evaluation, which is not of noise alone.
  const sampling = { sampler, seed, steps: 2, cfgScale: 1, guidance: 3.5, denoisingStrength: 0.5 } as const;
  const sampled = (await model.sample({ ...sampling, conditioning, latent })).toFloat32Array();
  const images = await model.decodeLatent({ latent: latentOf(other?.sampled ?? sampled) });
  const [picture] = images;
  if (picture === undefined) throw new Error('Nothing was decoded');
  expectPicture(picture);
  return { context, encoded, sampled, pixels: picture.data };
}

async function compare(files: ModelFileOptions): Promise<void> {
  const log: string[] = [];
  const logger = (_level: string, line: string): void => void log.push(line);
  const run = async (backend: 'cpu' | 'openvino', other?: Parts): Promise<Parts> => {
    // One after the other, and each network leaves before the next: not every machine holds all of them.
    const openvino = backend === 'openvino' ? { cacheSize: '1MiB' } : undefined;
    await using runtime = await createRuntime({ backend, threads, openvino, logLevel: 'info', logger });
    return await partsOf(await runtime.loadModel({ ...files, rng: 'cpu' }), other);
  };
  const wanted = await run('cpu');
  // Where the text encoder is T5, which is not there, the engine gives zeros: there is nothing to compare.
  const reads = wanted.context.some((value) => value !== 0);
  const got = await run('openvino', wanted);
  for (const part of [...(reads ? (['context'] as const) : []), 'encoded', 'sampled'] as const) {
    const near = closeness(got[part], wanted[part]);
    expect(near.psnr, part).toBeGreaterThan(50);
    expect(near.relativeError, part).toBeLessThan(0.005);
  }
  expect(psnr(got.pixels, wanted.pixels), 'pixels').toBeGreaterThan(50);
  // All four, and nothing of them beside OpenVINO.
  expect(log.filter((line) => /openvino: compiled/.test(line)).length).toBeGreaterThanOrEqual(4);
  expect(log.join('\n')).not.toContain('left to the CPU backend');
}

describe('each network of a model alone is within 50 dB of the CPU backend', () => {
  it('the embedded model, with its tiny autoencoder', async () => {
    const { checkpoint, taesd } = await ensureEmbeddedModel();
    await compare({ checkpoint, taesd });
  });

  // With the VAE of the field: SD 1.x, SDXL in its smallest size, and a transformer.
  describe.each(['sd1-tiny', 'sdxl-vega', 'flux-narrow'] as const satisfies readonly SyntheticKind[])('%s', (kind) => {
    const scratch = useScratch(syntheticBytes(kind) * 1.05 + 2 ** 24);
    it('with random weights', async () => {
      const checkpoint = scratch.path('model.safetensors');
      await writeSynthetic(kind, checkpoint, { seed: 1 });
      await compare({ checkpoint });
    });
  });
});
