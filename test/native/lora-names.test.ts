import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/model/index.js';
import type { NativeModel } from '../../lib/native/index.js';
import { expectPlaces, keyStyles } from '../support/lora/keyStyles.js';
import { rawAddon } from '../support/native.js';
import { loadOptions } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';
import { writeHollow } from '../support/synthetic/index.js';

// Others are in test/full/lora-names.test.ts.
const scratch = useScratch(2 ** 26);

const hollow = async (): Promise<string> => {
  const path = scratch.path('flux.safetensors');
  await writeHollow('flux-narrow', path);
  return path;
};
const models = [
  ['the embedded model', 'unet', async () => (await ensureEmbeddedModel()).checkpoint],
  ['a narrow Flux', 'flux', hollow],
] as const;

describe.each(models)('%s', (_, family, checkpoint) => {
  let native: NativeModel | undefined;
  beforeAll(async () => {
    native = await rawAddon().loadModel(loadOptions({ checkpoint: await checkpoint() }, { mmap: true }), null).promise;
  });
  afterAll(() => native?.dispose());

  it.each(Object.entries(keyStyles))('%s: every module has its rows', async (__, style) => {
    if (native === undefined) throw new Error('The model was not loaded');
    expect(await expectPlaces(native, family, style)).toBeGreaterThan(30);
  });
});
