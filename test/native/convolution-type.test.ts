import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRuntime, parseInfotext, type Runtime } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { RawWeights } from '../support/lora/weights.js';
import { only, threads, tiny } from '../support/native.js';

const types = ['f16', 'f32'] as const;
let runtime: Runtime;

beforeAll(async () => {
  runtime = await createRuntime({ backend: 'cpu', threads });
});
afterAll(() => runtime.dispose({ abort: true }));

/** A kernel of 3x3, one of 1x1, a matrix and a bias of the UNet. */
const tensors = ['1.0.in_layers.2.weight', '4.0.skip_connection.weight', '1.1.proj_in.bias', '1.0.emb_layers.1.weight'];

it('makes kernels of convolutions f32, and nothing else', async () => {
  const seen = [];
  for (const convolutionType of types) {
    const weights = await RawWeights.load({ wideConvolutions: convolutionType === 'f32' });
    seen.push(tensors.map((name) => weights.info(`model.diffusion_model.input_blocks.${name}`).type));
    await weights.native.dispose();
  }
  expect(seen).toEqual([
    ['f16', 'f16', 'f32', 'f16'],
    ['f32', 'f32', 'f32', 'f16'],
  ]);
});

it('is known to estimates, and draws the same picture with less rounding', async () => {
  const images = [];
  const bytes = [];
  for (const convolutionType of types) {
    const estimate = await runtime.estimateLoad({ convolutionType });
    await using model = await runtime.loadModel({ convolutionType });
    expect(estimate.weights).toBe(model.info.bytes);
    bytes.push(model.info.bytes);
    const image = only(await model.txt2img(tiny));
    expect(parseInfotext(image.infotext).parameters['Convolution type']).toBe(
      convolutionType === 'f32' ? 'f32' : undefined,
    );
    images.push(image.data);
  }
  const [half, single] = images;
  if (half === undefined || single === undefined) throw new Error('There are two pictures');
  expect(bytes[1]).toBeGreaterThan(bytes[0] ?? Infinity);
  expect(psnr(half, single)).toBeGreaterThan(45);
  expect(single).not.toEqual(half);
});

it('refuses other types by name', async () => {
  await expect(runtime.loadModel({ convolutionType: 'bf16' as 'f16' })).rejects.toMatchObject({
    code: 'ERR_INVALID_OPTION',
    field: 'convolutionType',
  });
});
