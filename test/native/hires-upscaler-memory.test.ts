import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type Txt2ImgRequest } from '../../lib/index.js';
import { type MemoryJob, memoryJobs } from '../support/memoryJobs.js';
import { threads } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

const mib = 2 ** 20;
const scratch = useScratch(2 ** 25);
let upscaler: string;
const apple = { prompt: 'a red apple', steps: 1, cfgScale: 1, sampler: 'euler', seed: 1, width: 64, height: 64 };
const hires = { denoisingStrength: 0.6, steps: 1 };

beforeAll(async () => {
  upscaler = scratch.path('x4.safetensors');
  await writeUpscaler(upscaler, { scale: 4, weights: { seed: 5 } });
});

const run = (requests: readonly object[], memoryLimit?: number): Promise<MemoryJob[]> =>
  memoryJobs({ runtime: memoryLimit === undefined ? {} : { memoryLimit }, requests });

describe('memoryLimit and a hires pass with an upscaler model', () => {
  it('holds where there is room for the model or for enlarging, not for both; the picture is the same', async () => {
    // The second pass is smaller than what the model of 4 times makes.
    const request = { ...apple, hires: { ...hires, width: 128, height: 64, upscaler } };
    const [free] = await run([request]);
    if (free?.refused !== undefined || free === undefined) throw new Error(free?.message ?? 'The child told nothing');
    expect(free.models).toEqual(['load x4']);
    expect(free.unloads).toEqual([]);
    // Enlarging takes most, so without it there is room.
    expect(free.estimate.upscaler).toBeGreaterThan(free.estimate.job * 0.9);
    const limit = Math.round(free.sinceStart - free.estimate.upscaler * 0.35);
    const [limited, again] = await run([request, request], limit);
    for (const job of [limited, again]) {
      expect(job?.message).toBeUndefined();
      expect(job?.estimate.fits).toBe(true);
      expect(job?.sinceStart).toBeLessThan(limit);
      expect(job?.hash).toBe(free.hash);
      expect(job?.unloads).toEqual(['nano']);
    }
    expect(limited?.models).toEqual(['load x4', 'unload nano', 'load nano']);
    expect(again?.models).toEqual(['unload nano', 'load nano']);
  });

  it('refuses what fits in neither way before the first step, with the numbers and ways out', async () => {
    // 4 times are not enough, so the model enlarges 256x256 pixels to 1024x1024.
    const large = (tileSize: number) => ({
      ...apple,
      hires: { ...hires, width: 320, height: 320, upscaler: { file: upscaler, tileSize } },
    });
    const [base] = await run([apple]);
    const limit = Math.round((base?.sinceStart ?? NaN) + 512 * mib);
    const [before, refused, after] = await run([apple, large(512), apple], limit);
    for (const job of [before, after]) {
      expect(job?.message).toBeUndefined();
      expect(job?.sinceStart).toBeLessThan(limit);
    }
    expect(after?.hash).toBe(before?.hash);
    expect(refused?.refused).toBe('ERR_OUT_OF_MEMORY');
    expect(refused?.estimate.fits).toBe(false);
    expect(refused?.phases).not.toContain('sample');
    expect(refused?.measured).toBeLessThan(8 * mib);
    expect(refused?.message).toMatch(
      /needs .* of memory, memoryLimit .* leaves .*: upscaler model .*tileSize: \d+ needs .*/,
    );
    // The way out that was named is one.
    const tileSize = Number(/tileSize: (\d+)/.exec(refused?.message ?? '')?.[1]);
    const runtime = await createRuntime({ backend: 'cpu', threads, memoryLimit: limit });
    const model = await runtime.loadModel();
    expect((await model.estimate(large(tileSize) as Txt2ImgRequest)).fits).toBe(true);
    await runtime.dispose();
  });
});
