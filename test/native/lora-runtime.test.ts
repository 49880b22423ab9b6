import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type LoraInput, type Model, type Runtime } from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { type Part, scalar, seeded, writeLora } from '../support/lora/files.js';
import { only, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

// Low-rank modules of linear layers are in lora-model.test.ts; here is what else the engine's adapter knows.
const scratch = useScratch(2 ** 27);
const request = { ...tiny, cfgScale: 1, negativePrompt: '' } as const;
const random = seeded(4);
const linear = 'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_v';
const conv = 'lora_unet_input_blocks_1_0_in_layers_2';
const factor = (shape: readonly number[]): Part => random(shape, 0.35);
const kinds: Readonly<Record<string, Readonly<Record<string, Part>>>> = {
  LoCon: {
    [`${conv}.lora_up.weight`]: factor([320, 4, 1, 1]),
    [`${conv}.lora_down.weight`]: random([4, 320, 3, 3], 0.05),
    [`${conv}.alpha`]: scalar(4),
  },
  LoHa: {
    [`${linear}.hada_w1_a`]: factor([320, 4]),
    [`${linear}.hada_w1_b`]: factor([4, 320]),
    [`${linear}.hada_w2_a`]: factor([320, 4]),
    [`${linear}.hada_w2_b`]: factor([4, 320]),
    [`${linear}.alpha`]: scalar(4),
  },
  'a full difference of a matrix': { [`${linear}.diff`]: random([320, 320], 0.05) },
  'a full difference of a kernel and its bias': {
    [`${conv}.diff`]: random([320, 320, 3, 3], 0.01),
    [`${conv}.diff_b`]: random([320], 0.3),
  },
};
let runtime: Runtime;
let [merging, running]: Model[] = [];

beforeAll(async () => {
  runtime = await createRuntime({ backend: 'cpu', threads });
  const types = { weightType: 'f32', convolutionType: 'f32' } as const;
  merging = await runtime.loadModel({ ...types, loraMode: 'merge' });
  running = await runtime.loadModel({ ...types, loraMode: 'runtime' });
});
afterAll(() => runtime.dispose({ abort: true }));

async function draw(model: Model | undefined, set: readonly LoraInput[], mode: string): Promise<Uint8Array> {
  if (model === undefined) throw new Error('The model was not loaded');
  expect(await model.loras.set(set)).toMatchObject({ mode, warnings: [] });
  return only(await model.txt2img(request)).data;
}

describe('merged and at run time, f32', () => {
  it.each(Object.entries(kinds))('%s: the same picture', async (_, tensors) => {
    const set = [{ path: writeLora(scratch.path('kind.safetensors'), tensors), weight: 0.5 }];
    const plain = await draw(merging, [], 'merge');
    const merged = await draw(merging, set, 'merge');
    const atRunTime = await draw(running, set, 'runtime');
    const apart = psnr(merged, atRunTime);
    process.stdout.write(`${apart.toFixed(1)} dB, ${psnr(merged, plain).toFixed(1)} dB to the one without\n`);
    expect(apart).toBeGreaterThanOrEqual(60);
    expect(psnr(merged, plain)).toBeLessThan(40);
  });

  it('files are read once and kept', async () => {
    const path = writeLora(scratch.path('gone.safetensors'), kinds.LoHa ?? {});
    const first = await draw(running, [{ path }], 'runtime');
    expect((await running?.memory())?.loraFiles).toBeGreaterThan(0);
    await rm(path);
    expect(only((await running?.txt2img(request)) ?? fail()).data).toEqual(first);
    await running?.loras.set([]);
    expect((await running?.memory())?.loraFiles).toBe(0);
  });
});

function fail(): never {
  throw new Error('The model was not loaded');
}
