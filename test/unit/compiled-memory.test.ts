import { describe, expect, it } from 'vitest';
import type { NativeCompileEvent } from '../../lib/native/index.js';
import { twoModels, weighing } from '../support/fakeCheckpoints.js';

const mib = 2 ** 20;
const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
const compiles = (component: NativeCompileEvent['component']): NativeCompileEvent => ({
  ...{ type: 'compile', component, reason: 'new size or network', nodes: 9, ms: 1, bytes: 400 * mib },
});
const graph = { graph: mib, work: 0, compiled: 400 * mib };

describe('memory of compiled graphs', () => {
  it('counts once, and again when they have left with the weights of their model', async () => {
    const heavy = weighing(1000 * mib);
    const two = await twoModels(heavy, {
      infoOf: () => heavy,
      runtime: { memoryLimit: 5000 * mib },
      memory: ({ prompts }) => (prompts.length > 0 ? { diffusion: graph } : {}),
    });
    const diffusion = async (): Promise<number> => (await two.model.estimate(request)).diffusion;
    const before = await diffusion();
    expect(before).toBeGreaterThanOrEqual(400 * mib);
    // The engine tells of it once, as long as the weights stay.
    let kept = false;
    two.fake.events = (op) => (op === 'sample' && !kept ? ((kept = true), [compiles('diffusionModel')]) : []);
    await two.model.txt2img(request);
    expect(before - (await diffusion())).toBe(400 * mib);
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    expect(two.fake.disposedModels).toEqual([1]);
    expect(await diffusion()).toBe(before);
    await two.runtime.dispose();
  });
});
