import { beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/index.js';
import { type MemoryJob, memoryJobs } from '../support/memoryJobs.js';
import { useScratch } from '../support/scratch.js';
import { syntheticPart, writeTensors } from '../support/synthetic/index.js';

// Each job runs in a process of its own, see memoryJobs.

const mib = 2 ** 20;
const apple = { prompt: 'a red apple', steps: 1, cfgScale: 1, sampler: 'euler', seed: 1 };

async function only(input: { runtime?: object; load?: object; request: object }): Promise<MemoryJob> {
  const [job] = await memoryJobs({ ...input, requests: [input.request] });
  if (job === undefined) throw new Error('The child told nothing');
  if (job.refused !== undefined) throw new Error(`${job.refused}: ${String(job.message)}`);
  return job;
}

describe('estimates against the kernel', () => {
  it.each([
    [64, 64],
    [128, 128],
    [192, 128],
    [256, 256],
    [320, 256],
    [384, 256],
  ])('%dx%d: within 15 %% of the measured peak', async (width, height) => {
    const { estimate, sinceLoad, sinceStart, cached } = await only({ request: { ...apple, width, height } });
    expect(estimate.peak).toBeGreaterThan(sinceStart * 0.85);
    expect(estimate.peak).toBeLessThan(sinceStart * 1.15);
    // The job alone. At the smallest sizes pages of code and of the allocator weigh as much as the graphs.
    if (width * height >= 128 * 128) {
      expect(estimate.job).toBeGreaterThan(sinceLoad * 0.85);
      expect(estimate.job).toBeLessThan(sinceLoad * 1.15);
    } else {
      expect(Math.abs(estimate.job - sinceLoad)).toBeLessThan(8 * mib);
    }
    expect(cached).toBeLessThan(50);
  });
});

it.each([
  ['four pictures of 256x256', { batchSize: 4 }],
  ['previews by the VAE', { preview: { mode: 'vae', every: 1 } }],
  ['previews by projection', { preview: { mode: 'projection', every: 1 } }],
])('%s: within 15 %% of the measured peak', async (_, more) => {
  const request = { ...apple, width: 256, height: 256, ...more };
  const { estimate, sinceLoad, sinceStart } = await only({ request });
  expectWithin(estimate.job, sinceLoad);
  expectWithin(estimate.peak, sinceStart);
});

/** The embedded model with a full-size AutoencoderKL of random weights in place of its tiny coder. */
describe('estimates of the full VAE against the kernel', () => {
  const scratch = useScratch(2 ** 28);
  let load: { readonly checkpoint: string; readonly vae: string };

  beforeAll(async () => {
    const { checkpoint } = await ensureEmbeddedModel();
    load = { checkpoint, vae: scratch.path('vae.safetensors') };
    await writeTensors(load.vae, syntheticPart('sd1', 'first_stage_model.'), 1);
  });

  it.each([
    [64, 64],
    [128, 64],
    [128, 128],
  ])('%dx%d: decoding within 15 %% of the measured peak', async (width, height) => {
    const { estimate, sinceLoad, sinceStart } = await only({ load, request: { ...apple, width, height } });
    // The VAE is what is measured here.
    expect(estimate.vaeDecode).toBeGreaterThan(0.75 * estimate.job);
    expectWithin(estimate.job, sinceLoad);
    expectWithin(estimate.peak, sinceStart);
  });

  it.each([
    // Below, pages of code and of the allocator weigh as much as the graphs.
    [128, 128],
    [192, 128],
    [192, 192],
  ])('%dx%d: encoding within 15 %% of the measured peak', async (width, height) => {
    const request = { ...apple, width, height, start: [width, height], only: 'encode' };
    const { estimate, sinceLoad } = await only({ load, request });
    expectWithin(estimate.vaeEncode + width * height * 6, sinceLoad);
  });

  it('64x64 img2img, with both, within 15 % of the measured peak', async () => {
    const request = { ...apple, width: 64, height: 64, start: [64, 64], denoisingStrength: 1 };
    const { estimate, sinceLoad, sinceStart } = await only({ load, request });
    expectWithin(estimate.job, sinceLoad);
    expectWithin(estimate.peak, sinceStart);
  });
});

function expectWithin(estimated: number, measured: number): void {
  expect(estimated).toBeGreaterThan(measured * 0.85);
  expect(estimated).toBeLessThan(measured * 1.15);
}

describe('memoryLimit', () => {
  it('holds: the measured growth stays under it, in tiles where the whole picture does not fit', async () => {
    const request = { ...apple, width: 256, height: 256 };
    const free = await only({ request });
    const limit = Math.round(free.sinceStart - free.estimate.job * 0.25);
    const [small, large, again, refused] = await memoryJobs({
      runtime: { memoryLimit: limit },
      requests: [
        { ...apple, width: 64, height: 64 },
        request,
        { ...apple, width: 64, height: 64 },
        { ...request, tiling: false },
      ],
    });
    expect(large?.warnings).toMatchObject([{ code: 'tiled' }]);
    for (const job of [small, large, again]) {
      expect(job?.refused).toBeUndefined();
      expect(job?.sinceStart).toBeLessThan(limit);
    }
    expect(free.warnings).toEqual([]);
    expect(again?.hash).toBe(small?.hash);
    expect(refused?.refused).toBe('ERR_OUT_OF_MEMORY');
    expect(refused?.message).toMatch(/memoryLimit .* leaves .*VAE decode .*tiling: 'auto'/);
    expect(refused?.measured).toBeLessThan(8 * mib);
  });
});
