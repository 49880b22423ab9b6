import { beforeAll, describe, expect, it } from 'vitest';
import type { MemoryEstimate } from '../../lib/index.js';
import { describeEnd, runChild } from '../support/child/run.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

// Each in a process of its own with the compiled package, as estimate.test.ts.

interface Job {
  readonly estimate: MemoryEstimate;
  /** Bytes of the process at the job's peak, above the level right before it, and since the runtime was made. */
  readonly measured: number;
  readonly sinceStart: number;
  readonly hash: string;
  readonly unloads: readonly string[];
  readonly models: readonly string[];
  readonly phases: readonly string[];
  readonly refused?: string;
  readonly message?: string;
}

const mib = 2 ** 20;
const scratch = useScratch(2 ** 28);
const at = (name: string): string => scratch.path(`${name}.safetensors`);
const apple = { prompt: 'a red apple', steps: 1, cfgScale: 1, sampler: 'euler', seed: 1, width: 64, height: 64 };
const hires = { denoisingStrength: 0.6, steps: 1 };
const plain = { ...apple };
/** Its weights are as heavy as those of a model, its graphs as those of `x2`. */
const blocks = 96;

beforeAll(async () => {
  await writeUpscaler(at('x2'), { scale: 2, weights: { seed: 5 } });
  await writeUpscaler(at('deep'), { scale: 2, weights: 'nearest', blocks });
});

async function run(requests: readonly object[], memoryLimit?: number): Promise<Job[]> {
  const input = { runtime: memoryLimit === undefined ? {} : { memoryLimit }, requests };
  const end = await runChild('memory.mjs', [JSON.stringify(input)], { limit: 300 });
  if (end.code !== 0) throw new Error(describeEnd(end));
  return end.lines.flatMap((line) => ('job' in line ? [line.job as Job] : []));
}

async function only(request: object, memoryLimit?: number): Promise<Job> {
  const [job] = await run([request], memoryLimit);
  if (job === undefined) throw new Error('The child told nothing');
  return job;
}

describe('memoryLimit and a hires pass with an upscaler model', () => {
  it('whose graphs do not fit: refused before the first step with the numbers, and the way out named is one', async () => {
    const size = { width: 320, height: 320 };
    const upscaler = { file: at('x2'), tileSize: 512 };
    const request = { ...apple, ...size, hires: { ...hires, width: 384, height: 384, upscaler } };
    const free = await only(request);
    expect(free.refused).toBeUndefined();
    // Enlarging is what takes most.
    expect(free.estimate.upscaler).toBeGreaterThan(free.estimate.job * 0.9);
    const limit = Math.round(free.sinceStart - free.estimate.upscaler * 0.4);
    // Neither does it fit when the model has left.
    expect(limit).toBeLessThan(free.estimate.upscaler);
    const [before, refused, after] = await run([plain, request, plain], limit);
    for (const job of [before, after]) {
      expect(job?.refused).toBeUndefined();
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
    const tileSize = Number(/tileSize: (\d+)/.exec(refused?.message ?? '')?.[1]);
    const tiled = await only({ ...request, hires: { ...request.hires, upscaler: { ...upscaler, tileSize } } }, limit);
    expect(tiled.refused).toBeUndefined();
    expect(tiled.estimate.fits).toBe(true);
    expect(tiled.sinceStart).toBeLessThan(limit);
  });

  it('with room for the model or the upscaler only: one leaves for the other, the peak stays, the picture is the same', async () => {
    const request = { ...apple, hires: { ...hires, width: 128, height: 128, upscaler: at('deep') } };
    const free = await only(request);
    expect(free.models).toEqual(['load deep']);
    expect(free.unloads).toEqual([]);
    const small = await only({ ...request, hires: { ...request.hires, upscaler: at('x2') } });
    const weights = free.estimate.weights - small.estimate.weights;
    expect(weights).toBeGreaterThan(100 * mib);
    const limit = Math.round(free.sinceStart - weights / 2);
    const [limited, again] = await run([request, request], limit);
    for (const job of [limited, again]) {
      expect(job?.refused).toBeUndefined();
      expect(job?.estimate.fits).toBe(true);
      expect(job?.sinceStart).toBeLessThan(limit);
      expect(job?.hash).toBe(free.hash);
    }
    expect(limited?.unloads).toEqual(['nano', 'deep']);
    expect(limited?.models).toEqual(['unload nano', 'load deep', 'unload deep', 'load nano']);
  });

  it('with room for neither: refused before anything is read', async () => {
    const request = { ...apple, hires: { ...hires, width: 128, height: 128, upscaler: at('deep') } };
    const base = await only(plain);
    const [refused, after] = await run([request, plain], Math.round(base.sinceStart + 16 * mib));
    expect(base.estimate.weights).toBeGreaterThan(0);
    if (refused?.refused === undefined) {
      // The model has left for it, as in the test before; then the limit held.
      expect(refused?.sinceStart).toBeLessThan(base.sinceStart + 16 * mib);
    } else {
      expect(refused.refused).toBe('ERR_OUT_OF_MEMORY');
      expect(refused.phases).not.toContain('sample');
    }
    expect(after?.refused).toBeUndefined();
    expect(after?.hash).toBe(base.hash);
  });
});
