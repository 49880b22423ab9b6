import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type LoadModelOptions, type Model, type Runtime } from '../../lib/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { threads } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(2 ** 24);
const module = 'input_blocks_1_1_transformer_blocks_0_attn1';
const tensors = ['q', 'k'].map(
  (name) => `model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_${name}`,
);
const paths: string[] = [];
let runtime: Runtime;

beforeAll(async () => {
  for (const seed of [1, 2, 3]) {
    const modules = ['q', 'k'].map((name) => [`lora_unet_${module}_to_${name}`, [320, 320] as const]);
    paths.push(writeLora(scratch.path(`${String(seed)}.safetensors`), lowRank(Object.fromEntries(modules), { seed })));
  }
  runtime = await createRuntime({ backend: 'cpu', threads });
});
afterAll(() => runtime.dispose({ abort: true }));

/** Both tensors are f16. */
const bytes = 2 * 320 * 320 * 2;
const set = (model: Model, file?: number) => model.loras.set(file === undefined ? [] : [{ path: paths[file] ?? '' }]);
const load = (options: LoadModelOptions): Promise<Model> => runtime.loadModel(options);

describe('merged tensors that are kept', () => {
  it('stay within loraCacheBytes, and the least recently used go first', async () => {
    await using model = await load({ loraCacheBytes: 2 * bytes });
    const kept = async (): Promise<number> => (await model.memory()).mergedCache;
    // What is left is kept: 0 and 1, of which 0 is used once more, then 2 in the place of 1.
    for (const file of [0, 1]) {
      await set(model, file);
      await set(model);
    }
    expect(await kept()).toBe(2 * bytes);
    expect(await set(model, 0)).toMatchObject({ merged: 0, copied: 2 });
    await set(model);
    expect(await set(model, 2)).toMatchObject({ merged: 2, copied: 0 });
    await set(model);
    expect(await kept()).toBe(2 * bytes);
    expect(await set(model, 0)).toMatchObject({ merged: 0, copied: 2 });
    await set(model);
    expect(await set(model, 1)).toMatchObject({ merged: 2, copied: 0 });
    await set(model);
    expect(await kept()).toBeLessThanOrEqual(2 * bytes);
  });

  it('are none without loraCacheBytes', async () => {
    await using model = await load({});
    for (const file of [0, undefined, 0]) expect(await set(model, file)).toMatchObject({ copied: 0 });
    expect(await model.memory()).toMatchObject({ mergedCache: 0, backups: { file: 0, ram: 0, device: 0 } });
  });
});

// On the CPU the device is host memory.
it.each(['ram', 'device'] as const)(
  'copies of originals, backup %s: counted, given back, not needed',
  async (loraBackup) => {
    await using model = await load({ loraBackup });
    const plain = await model.weightsDigest({ perTensor: true });
    expect(Object.keys(plain.perTensor ?? {})).toHaveLength(plain.tensors);
    expect(await set(model, 0)).toMatchObject({ backup: loraBackup, merged: 2 });
    expect(await model.memory()).toMatchObject({ backups: { file: 0, ram: bytes, device: 0 }, changedTensors: 2 });
    const merged = await model.weightsDigest({ perTensor: true });
    const changed = Object.keys(plain.perTensor ?? {}).filter(
      (name) => plain.perTensor?.[name] !== merged.perTensor?.[name],
    );
    expect(changed.sort()).toEqual(tensors.map((name) => `${name}.weight`).sort());
    expect(await model.releaseBackups()).toBe(bytes);
    expect((await model.memory()).backups.ram).toBe(0);
    // They come from the checkpoint then.
    await set(model);
    expect(await model.weightsDigest({ perTensor: true })).toEqual(plain);
    await set(model, 1);
    await set(model);
    expect((await model.memory()).backups.ram).toBe(0);
    expect(await model.weightsDigest({ perTensor: true })).toEqual(plain);
  },
);
