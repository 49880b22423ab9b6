import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeModel } from '../../lib/native/index.js';
import { expectPlaces, keyStyles } from '../support/lora/keyStyles.js';
import { rawAddon } from '../support/native.js';
import { loadOptions } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';
import { writeHollow } from '../support/synthetic/index.js';

const scratch = useScratch(2 ** 26);

// Files without data, mapped: names and shapes are all that is looked at.
describe.each([
  ['sd1', 'unet', {}],
  ['sd2', 'unet', {}],
  ['sdxl', 'unet', {}],
  ['sd3-medium', 'sd3', {}],
  ['z-image', 'z-image', { withoutTextEncoder: true }],
] as const)('%s', (kind, family, change) => {
  let native: NativeModel | undefined;
  beforeAll(async () => {
    const path = scratch.path('model.safetensors');
    await writeHollow(kind, path);
    const files = kind === 'z-image' ? { diffusionModel: path } : { checkpoint: path };
    const options = loadOptions(files, { mmap: true, withoutVae: true, ...change });
    native = await rawAddon().loadModel(options, null).promise;
  });
  afterAll(() => native?.dispose());

  it.each(Object.entries(keyStyles))('%s: every module has its rows', async (_, style) => {
    if (native === undefined) throw new Error('The model was not loaded');
    expect(await expectPlaces(native, family, style)).toBeGreaterThan(200);
  });
});
