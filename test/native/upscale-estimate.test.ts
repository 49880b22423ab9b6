import { beforeAll, describe, expect, it } from 'vitest';
import type { UpscaleEstimate } from '../../lib/index.js';
import { describeEnd, runChild } from '../support/child/run.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

// Each in a process of its own with the compiled package, as estimate.test.ts.

interface Job {
  readonly estimate: UpscaleEstimate;
  /** Bytes of the process at the job's peak, above the level of the loaded upscaler, and since the runtime was made. */
  readonly sinceLoad: number;
  readonly sinceStart: number;
  readonly hash: string;
  readonly measured?: number;
  readonly refused?: string;
  readonly message?: string;
  readonly given?: { readonly needed: number; readonly available: number };
}

interface Load extends Pick<Job, 'refused' | 'message'> {
  readonly bytes: number;
  readonly level: number;
  readonly peak: number;
}

type Size = readonly [width: number, height: number];

interface Input {
  readonly runtime?: { readonly memoryLimit?: number };
  readonly load: { readonly file: string; readonly tileSize?: number };
  readonly sizes: readonly Size[];
}

const mib = 2 ** 20;
const scratch = useScratch(2 ** 27);
const at = (name: string): string => scratch.path(`${name}.safetensors`);

beforeAll(async () => {
  await writeUpscaler(at('x4'), { scale: 4, weights: { seed: 5 } });
  await writeUpscaler(at('x2'), { scale: 2, weights: { seed: 5 } });
  await writeUpscaler(at('deep'), { scale: 2, weights: 'nearest', blocks: 23 });
});

async function run(input: Input): Promise<{ readonly load: Load; readonly jobs: Job[] }> {
  const end = await runChild('upscale-memory.mjs', [JSON.stringify(input)], { limit: 300 });
  if (end.code !== 0) throw new Error(describeEnd(end));
  const [load] = end.lines.flatMap((line) => ('load' in line ? [line.load as Load] : []));
  if (load === undefined) throw new Error('The child told nothing');
  return { load, jobs: end.lines.flatMap((line) => ('job' in line ? [line.job as Job] : [])) };
}

async function only(input: Omit<Input, 'sizes'> & { readonly size: Size }): Promise<Job> {
  const { jobs } = await run({ ...input, sizes: [input.size] });
  if (jobs[0] === undefined) throw new Error('The child told nothing');
  return jobs[0];
}

function expectWithin(estimated: number, measured: number): void {
  expect(estimated).toBeGreaterThan(measured * 0.85);
  expect(estimated).toBeLessThan(measured * 1.15);
}

describe('estimates of an enlargement against the kernel', () => {
  it.each([
    ['x4', [64, 64], 128],
    ['x4', [128, 96], 128],
    ['x4', [128, 96], 64],
    ['x2', [128, 128], 128],
    ['x2', [192, 160], 128],
    ['x2', [224, 160], 32],
  ] as const)('%s of %j in tiles of %d: within 15 %% of the measured peak', async (file, size, tileSize) => {
    const { estimate, sinceLoad } = await only({ load: { file: at(file), tileSize }, size });
    expectWithin(estimate.job, sinceLoad);
    expect(estimate.peak).toBe(estimate.weights + estimate.job);
  });

  it('of 23 blocks as the published models have: the weights as well', async () => {
    const { load, jobs } = await run({ load: { file: at('deep') }, sizes: [[32, 32]] });
    expect(load.bytes).toBe(jobs[0]?.estimate.weights);
    // Beside the weights, a first load brings pages of code and of the backend: as many with a small file.
    const { load: small } = await run({ load: { file: at('x2') }, sizes: [] });
    expectWithin(load.bytes - small.bytes, load.level - small.level);
    expectWithin(load.bytes - small.bytes, load.peak - small.peak);
    // So small a job that pages of code and of the allocator weigh as much as its graphs.
    expect(Math.abs((jobs[0]?.estimate.job ?? NaN) - (jobs[0]?.sinceLoad ?? NaN))).toBeLessThan(8 * mib);
  });
});

describe('memoryLimit with an upscaler', () => {
  it('holds, refuses with the numbers and the ways out, and the upscaler works afterwards', async () => {
    const load = { file: at('x2'), tileSize: 160 };
    const free = await only({ load, size: [160, 160] });
    const limit = Math.round(free.sinceStart - free.estimate.job * 0.4);
    const small: Size = [64, 64];
    const { jobs } = await run({ runtime: { memoryLimit: limit }, load, sizes: [small, [160, 160], small] });
    const [before, refused, after] = jobs;
    for (const job of [before, after]) {
      expect(job?.refused).toBeUndefined();
      expect(job?.estimate.fits).toBe(true);
      expect(job?.sinceStart).toBeLessThan(limit);
    }
    expect(after?.hash).toBe(before?.hash);
    expect(refused?.refused).toBe('ERR_OUT_OF_MEMORY');
    expect(refused?.estimate.fits).toBe(false);
    expect(refused?.message).toMatch(
      /Enlarging 160x160 pixels 2 times needs .* memoryLimit .* leaves .*: graphs .*, pixels .*\. Load the upscaler with tileSize: \d+, which needs .*; or Give a smaller picture: \d+x\d+ needs/,
    );
    expect(refused?.given?.needed).toBeGreaterThan(refused?.given?.available ?? NaN);
    expect(refused?.measured).toBeLessThan(8 * mib);
    // The way out that was named is one.
    const tileSize = Number(/tileSize: (\d+)/.exec(refused?.message ?? '')?.[1]);
    const tiled = await run({ runtime: { memoryLimit: limit }, load: { ...load, tileSize }, sizes: [[160, 160]] });
    expect(tiled.jobs[0]?.refused).toBeUndefined();
    expect(tiled.jobs[0]?.sinceStart).toBeLessThan(limit);
  });

  it('refuses weights that do not fit before they are allocated', async () => {
    const memoryLimit = 6 * mib;
    const { load, jobs } = await run({ runtime: { memoryLimit }, load: { file: at('deep') }, sizes: [] });
    expect(load.refused).toBe('ERR_OUT_OF_MEMORY');
    expect(load.message).toMatch(/^Loading the upscaler needs .* memoryLimit \(6\.0 MiB\) leaves/);
    expect(jobs).toEqual([]);
  });
});
