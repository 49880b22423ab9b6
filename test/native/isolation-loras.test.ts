import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Model, type Runtime } from '../../lib/index.js';
import { crash, killed, strike } from '../support/isolation.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { hashes, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

// The set of a model is held by this process: an engine that has died gets it again with the model.
const scratch = useScratch(16 * 2 ** 20);
const paths = { one: '', other: '' };
let [runtime, model]: [Runtime?, Model?] = [];

beforeAll(async () => {
  const layers = { lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_v: [320, 320] as const };
  paths.one = writeLora(scratch.path('one.safetensors'), lowRank(layers, { seed: 1, size: 0.3 }));
  paths.other = writeLora(scratch.path('other.safetensors'), lowRank(layers, { seed: 2, size: 0.3 }));
  runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process' });
});
afterAll(() => runtime?.dispose({ abort: true }));

function opened(): { runtime: Runtime; model: Model } {
  if (runtime === undefined || model === undefined) throw new Error('The model was not loaded');
  return { runtime, model };
}

/** What tells one set from another: the picture, and the bytes of the weights. */
async function state(): Promise<string> {
  const { model } = opened();
  const { sha256 } = await model.weightsDigest();
  return [...hashes(await model.txt2img(tiny)), sha256].join(' ');
}

describe.each(['merge', 'runtime'] as const)('LoRAs by %s, when the engine dies', (loraMode) => {
  const seen = { plain: '', one: '' };

  it('they are in force again after it', async () => {
    model = await runtime?.loadModel({ loraMode });
    const { runtime: own, model: loaded } = opened();
    seen.plain = await state();
    await loaded.loras.set([{ path: paths.one }]);
    seen.one = await state();
    expect(seen.one).not.toBe(seen.plain);
    await killed(own);
    expect(await state()).toBe(seen.one);
  });

  it('while they are set: that is rejected, and the set before is there', async () => {
    const { runtime: own, model: loaded } = opened();
    let struck = false;
    const set = loaded.loras.set([{ path: paths.other }], {
      onProgress: () => {
        if (!struck) strike(own, 'SIGKILL');
        struck = true;
      },
    });
    await crash(set);
    expect(struck).toBe(true);
    expect(await state()).toBe(seen.one);
  });

  it('they can be taken out after it, to the last bit', async () => {
    const { runtime: own, model: loaded } = opened();
    await killed(own);
    await loaded.loras.set([]);
    expect(await state()).toBe(seen.plain);
    await loaded.dispose();
  });
});
