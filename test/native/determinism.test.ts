import { describe, expect, it } from 'vitest';
import { rngs } from '../../lib/index.js';
import { expectPicture, hashes, only, rejection, threads, tiny as small, useModel } from '../support/native.js';

const fixture = useModel();

/** One step is enough where only bytes are compared. */
const tiny = { ...small, steps: 1 };
const draw = async (request: object = {}): Promise<string[]> =>
  hashes(await fixture.model.txt2img({ ...tiny, ...request }));

describe('the same request gives the same bytes', () => {
  it('again, and after other requests', async () => {
    const first = await draw();
    expect(await draw()).toEqual(first);
    await draw({
      prompt: 'a rocket',
      negativePrompt: 'blue',
      cfgScale: 4,
      sampler: 'euler_a',
      schedule: 'karras',
      seed: 9,
    });
    await draw({ width: 128, tiling: true });
    expect(await draw()).toEqual(first);
  });

  it('after a cancelled one', async () => {
    const first = await draw({ sampler: 'euler_a', steps: 3 });
    const controller = new AbortController();
    const reason = new Error('enough');
    const cancelled = draw({
      sampler: 'euler_a',
      steps: 50,
      signal: controller.signal,
      onProgress: ({ phase, step }: { phase: string; step: number }) => {
        if (phase === 'sample' && step > 0) controller.abort(reason);
      },
    });
    expect(await rejection(cancelled)).toBe(reason);
    expect(await draw({ sampler: 'euler_a', steps: 3 })).toEqual(first);
  });

  it('with guidance and a negative prompt, prompts encoded before or not', async () => {
    const request = { ...tiny, cfgScale: 5, negativePrompt: 'green', prompt: 'a cactus, first of its kind' };
    const first = hashes(await fixture.model.txt2img(request));
    expect(hashes(await fixture.model.txt2img(request))).toEqual(first);
  });

  it('in a batch: image i is the single image of seed + i', async () => {
    // An ancestral sampler draws noise of its own, so a generator that runs on from image to image would show.
    const request = { ...tiny, sampler: 'euler_a', steps: 2, batchSize: 3, seed: 40 };
    const batch = await fixture.model.txt2img(request);
    expect(batch.images.map(({ seed }) => seed)).toEqual([40, 41, 42]);
    const singles: string[] = [];
    for (const seed of [40, 41, 42]) singles.push(...(await draw({ sampler: 'euler_a', steps: 2, seed })));
    expect(hashes(batch)).toEqual(singles);
    expect(new Set(singles).size).toBe(3);
  });

  it('in whatever order jobs are queued', async () => {
    const [a, b] = [await draw({ seed: 5 }), await draw({ seed: 6 })];
    expect(await Promise.all([draw({ seed: 6 }), draw({ seed: 5 }), draw({ seed: 6 })])).toEqual([b, a, b]);
  });

  it('with a random seed that the result reports', async () => {
    const { seed: _, ...request } = tiny;
    const image = only(await fixture.model.txt2img(request));
    expect(image.seed).toBeGreaterThanOrEqual(0);
    expect(await draw({ seed: image.seed })).toEqual(hashes({ images: [image] }));
    expect(image.parameters).toMatchObject({ seed: image.seed });
  });
});

describe('what differs gives other bytes', () => {
  it('seeds, also beyond 32 bits', async () => {
    const seeds = [0, 1, 2, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER];
    const drawn: string[] = [];
    for (const seed of seeds) drawn.push(...(await draw({ seed })));
    expect(new Set(drawn).size).toBe(seeds.length);
  });

  it('prompts, negative prompts, guidance, steps', async () => {
    const guided = { cfgScale: 4, negativePrompt: 'red' };
    const requests = [
      {},
      { prompt: 'a rocket' },
      { steps: 2 },
      guided,
      { ...guided, cfgScale: 6 },
      { ...guided, negativePrompt: 'blue' },
      // The embedded model's text encoder has two layers; the others pass everything by.
      { clipSkip: 12 },
    ];
    const drawn: string[] = [];
    for (const request of requests) drawn.push(...(await draw(request)));
    expect(new Set(drawn).size).toBe(requests.length);
  });

  it('generators: every one draws its own noise, and a spelling of a name changes nothing', async () => {
    const drawn = new Map<string, string>();
    for (const rng of [...rngs, 'std'] as const) {
      await using model = await fixture.runtime.loadModel({ rng, mmap: true });
      const result = await model.txt2img(tiny);
      expectPicture(only(result));
      drawn.set(rng, hashes(result).join());
    }
    expect(new Set(drawn.values()).size).toBe(rngs.length);
    expect(drawn.get('std')).toBe(drawn.get('std_default'));
    expect(drawn.get('cuda')).toBe((await draw()).join());
  });

  it('the generator of the sampler matters to samplers that draw, and to no other', async () => {
    await using model = await fixture.runtime.loadModel({ rng: 'cuda', samplerRng: 'cpu', mmap: true });
    expect(hashes(await model.txt2img(tiny))).toEqual(await draw());
    const ancestral = { ...tiny, steps: 2, sampler: 'euler_a' };
    expect(hashes(await model.txt2img(ancestral))).not.toEqual(await draw(ancestral));
  });
});

describe('what must not matter', () => {
  it('the number of threads', async () => {
    await using model = await fixture.runtime.loadModel({ threads: threads + 1, mmap: true });
    expect(hashes(await model.txt2img(tiny))).toEqual(await draw());
  });

  it('the negative prompt without guidance', async () => {
    expect(await draw({ negativePrompt: 'everything' })).toEqual(await draw());
  });
});
