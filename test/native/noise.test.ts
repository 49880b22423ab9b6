import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel, rngs } from '../../lib/index.js';
import type { NativeConditioning, NativeModel } from '../../lib/native/contract.js';
import { loadOptions, noiseParams, promptParams, sampleParams } from '../support/nativeParams.js';
import { deviation, rawAddon, sha256 } from '../support/native.js';

describe.each(rngs)('noise of the generator %s', (rng) => {
  let model: NativeModel;
  let cond: NativeConditioning;
  beforeAll(async () => {
    const { checkpoint, taesd } = await ensureEmbeddedModel();
    model = await rawAddon().loadModel(loadOptions({ checkpoint, taesd }, { rng, samplerRng: rng, mmap: true }), null)
      .promise;
    cond = await model.encodePrompt(promptParams(), null).promise;
  });
  afterAll(() => model.dispose());

  const noise = (seed: number) => model.noise({ ...noiseParams(), seed }).promise;

  it('is what sampling begins with, and the sampler draws on behind it either way', async () => {
    const sample = async (change: object): Promise<string> => {
      // An ancestral sampler draws between steps, from the same generator.
      const params = { ...sampleParams(cond), sampler: 'euler_a', sigmas: Float32Array.from([10, 3, 0]), seed: 7 };
      return sha256((await model.sample({ ...params, ...change }, null).promise).data);
    };
    const drawn = await sample({});
    expect(await sample({ noise: await noise(7) })).toBe(drawn);
    expect(await sample({ noise: await noise(8) })).not.toBe(drawn);
  });

  it('has the shape asked for, unit variance, and is the same every time', async () => {
    const { shape, data } = await model.noise({ seed: 3, width: 64, height: 32 }).promise;
    expect(shape).toEqual([1, 4, 32, 64]);
    // 8192 samples: five standard errors of the deviation.
    expect(Math.abs(deviation(data) - 1)).toBeLessThan(5 / Math.sqrt(2 * 8192));
    expect(sha256((await noise(3)).data)).toBe(sha256((await noise(3)).data));
    expect(sha256((await noise(4)).data)).not.toBe(sha256((await noise(3)).data));
  });
});
