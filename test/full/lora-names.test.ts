import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NativeModel } from '../../lib/native/index.js';
import { expectPlaces, keyStyles } from '../support/lora/keyStyles.js';
import { rawAddon } from '../support/native.js';
import { loadOptions } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';
import { writeHollow } from '../support/synthetic/index.js';

const scratch = useScratch(2 ** 26);

const alone = { withoutTextEncoder: true };
const all = Object.keys(keyStyles);
const original = ['kohya, names of the original', 'ComfyUI', 'original'];

// Files without data, mapped: names and shapes are all that is looked at.
describe.each([
  ['sd1', 'unet', all, {}, 200],
  ['sd2', 'unet', all, {}, 200],
  ['sdxl', 'unet', all, {}, 200],
  ['sd3-medium', 'sd3', all, {}, 200],
  ['z-image', 'z-image', all, alone, 200],
  ['qwen-image-short', 'same', all, alone, 20],
  ['chroma-narrow', 'flux', all, alone, 20],
  ['flux2-narrow', 'same', original, alone, 20],
  ['anima-short', 'same', original, alone, 20],
  ['ernie-short', 'same', original, alone, 15],
  ['ovis-narrow', 'same', original, alone, 20],
  ['wan-1.3b', 'same', original, alone, 20],
] as const)('%s', (kind, family, styles, change, modules) => {
  let native: NativeModel | undefined;
  beforeAll(async () => {
    const path = scratch.path('model.safetensors');
    await writeHollow(kind, path);
    const files = change === alone ? { diffusionModel: path } : { checkpoint: path };
    const options = loadOptions(files, { mmap: true, withoutVae: true, ...change });
    native = await rawAddon().loadModel(options, null).promise;
  });
  afterAll(() => native?.dispose());

  it.each(styles)('%s: every module has its rows', async (name) => {
    const style = keyStyles[name];
    if (native === undefined || style === undefined)
      throw new Error('The model was not loaded, or there is no such style');
    expect(await expectPlaces(native, family, style)).toBeGreaterThan(modules);
  });
});
