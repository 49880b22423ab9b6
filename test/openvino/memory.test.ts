import { expect, it } from 'vitest';
import { createRuntime, type ModelEvent } from '../../lib/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { seeded, testSeed } from '../support/random.js';
import { edge, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(64 * 2 ** 20);
/** `NODE_DIFFUSION_TEST_OPENVINO_JOBS=500 npm run test:openvino -- memory` is the long form. */
const jobs = Number(process.env.NODE_DIFFUSION_TEST_OPENVINO_JOBS ?? '24');
const gib = 2 ** 30;
const cacheSize = 5 * gib;

it('memory is bounded by the cache over many sizes and sets of LoRAs', { timeout: jobs * 60_000 }, async () => {
  const random = seeded(testSeed('sizes and LoRAs'));
  const sizes = Array.from({ length: jobs < 100 ? 4 : 10 }, (_, index) => ({
    width: edge,
    height: edge * (index + 1),
  }));
  const modules = ['1_1', '2_1'].map((block) => `lora_unet_input_blocks_${block}_transformer_blocks_0_attn1_to_q`);
  const shapes = Object.fromEntries(modules.map((name) => [name, [320, 320]])) as Record<string, [number, number]>;
  const styles = [1, 2].map((seed) =>
    writeLora(scratch.path(`${String(seed)}.safetensors`), lowRank(shapes, { seed, size: 0.1 })),
  );
  const sets = [[], [styles[0] ?? ''], styles];
  await using runtime = await createRuntime({ backend: 'openvino', threads, openvino: { cacheSize } });
  const model = await runtime.loadModel();
  const before = process.memoryUsage.rss();
  const levels: number[] = [];
  let [compiled, largest] = [0, 0];
  const onModel = ({ action, bytes = 0 }: ModelEvent): void => {
    if (action !== 'compile') return;
    compiled++;
    largest = Math.max(largest, bytes);
  };
  for (let job = 0; job < jobs; job++) {
    const size = random.pick(sizes);
    const loras = random.pick(sets).map((path) => ({ path }));
    await model.txt2img({ ...tiny, ...size, steps: 1, loras, onModel });
    levels.push(process.memoryUsage.rss() - before);
  }
  // It has worked at the bound: more was compiled than there is room for.
  expect(compiled * largest).toBeGreaterThan(cacheSize);
  const { textEncoder, diffusionModel, vae } = (await model.memory()).compiled;
  expect(textEncoder + diffusionModel + vae).toBeLessThan(cacheSize + 2 * gib);
  // The cache, a graph that is made while the last one leaves, its weights in f32, and what allocators keep.
  const bound = cacheSize + 2 * largest + 2 * gib;
  expect(Math.max(...levels)).toBeLessThan(bound);
  const half = Math.floor(jobs / 2);
  const [first, second] = [levels.slice(0, half), levels.slice(half)].map((part) => Math.max(...part));
  if (jobs >= 100) expect(second).toBeLessThan((first ?? 0) * 1.05 + 128 * 2 ** 20);
});
