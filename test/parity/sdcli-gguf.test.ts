import { expect, it } from 'vitest';
import { createRuntime, ensureEmbeddedModel } from '../../lib/index.js';
import { useScratch } from '../support/scratch.js';
import { draw, drawWithSdCli, expectSameBytes, type ParityRequest, runSdCli } from '../support/sdcli/index.js';
import { psnr } from './psnr.js';

const scratch = useScratch(2 ** 30);
const request: ParityRequest = {
  ...{ prompt: 'red apple', negativePrompt: '', width: 64, height: 64, steps: 4, cfgScale: 1, seed: 1 },
  ...{ sampler: 'euler', schedule: 'discrete' },
};

it('a q8_0 GGUF file that the engine made of the embedded model draws the bytes of sd-cli, and nearly those of f16', async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  const converted = scratch.path('nano-q8_0.gguf');
  await runSdCli(['-M', 'convert', '-m', checkpoint, '-o', converted, '--type', 'q8_0']);
  const common = { taesd, rng: 'cuda', threads: 1 } as const;
  await using runtime = await createRuntime({ backend: 'cpu' });
  await using model = await runtime.loadModel({ checkpoint: converted, ...common });
  const { images: ours } = await draw(model, request);
  expectSameBytes(ours, await drawWithSdCli(scratch, { checkpoint: converted, ...common }, request));

  await using original = await runtime.loadModel({ checkpoint, ...common });
  // Convolutions stay f16.
  expect(model.info.bytes).toBeLessThan(0.8 * original.info.bytes);
  const { images: whole } = await draw(original, request);
  const near = psnr(ours[0]?.data ?? new Uint8Array(), whole[0]?.data ?? new Uint8Array());
  expect(near).toBeGreaterThan(30);
  expect(near).toBeLessThan(90); // It is another model: the weights were rounded.
});
