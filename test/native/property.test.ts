import { describe, expect, it } from 'vitest';
import { Latent, type Model, type ProgressEvent } from '../../lib/index.js';
import { edge, hashes, paint, sha256, tiny, useModel } from '../support/native.js';
import { type Random, seeded, testSeed } from '../support/random.js';

const fixture = useModel({ mmap: true });

const picture = paint((x, y) => [x * 4, y * 4, 128]);

/** Every way into the engine with fixed inputs; whatever happened before, its bytes stay the same. */
async function witness(model: Model): Promise<string[]> {
  const previews: string[] = [];
  const drawn = await model.txt2img({
    ...tiny,
    preview: { mode: 'vae', every: 1 },
    onPreview: ({ preview }) => previews.push(sha256(preview.data)),
  });
  const latent = await model.encodeImage({ image: picture });
  const [decoded] = await model.decodeLatent({ latent });
  const sigmas = await model.sigmas({ steps: 5 });
  return [
    ...hashes(drawn),
    ...previews,
    sha256(latent.toNative().data),
    sha256(decoded?.data ?? new Uint8Array()),
    sha256(sigmas),
  ];
}

type Options = { readonly signal: AbortSignal; readonly onProgress: (event: ProgressEvent) => void };

/** Jobs that succeed when nobody stops them. */
const jobs: Readonly<Record<string, (model: Model, random: Random, options: Options) => Promise<unknown>>> = {
  txt2img: (model, random, options) =>
    model.txt2img({
      ...tiny,
      prompt: `prompt ${String(random.below(4))}`,
      sampler: random.pick(['euler', 'euler_a', 'heun', 'dpm++2m', 'lcm']),
      schedule: random.pick(['discrete', 'karras', 'sgm_uniform']),
      cfgScale: random.pick([1, 4]),
      seed: random.below(1000),
      ...options,
    }),
  img2img: (model, random, options) =>
    model.img2img({ ...tiny, image: picture, denoisingStrength: random.pick([0.5, 1]), ...options }),
  inpaint: (model, _, options) =>
    model.inpaint({ ...tiny, image: picture, mask: { ...picture, channels: 3 }, ...options }),
  tiled: (model, random, options) =>
    model.decodeLatent({
      latent: Latent.zeros(edge * 2, edge * 2, model.latentSpace),
      tiling: { tileSize: random.pick([4, 8]), overlap: 0.25 },
      ...options,
    }),
  long: (model, random, options) =>
    model.encodePrompt({
      prompt: `${String(random.below(9))} `.repeat(200),
      clipSkip: random.pick([1, 2]),
      ...options,
    }),
  sigmas: (model, random, { signal }) => model.sigmas({ steps: 7, schedule: random.pick(['ays', 'gits']), signal }),
};

/** Jobs that fail by themselves, before the engine or after it. */
const failures: Readonly<Record<string, (model: Model) => Promise<unknown>>> = {
  'a wrong size': (model) => model.txt2img({ ...tiny, width: 63 }),
  'no picture': (model) => model.img2img({ ...tiny, image: new Uint8Array([1, 2, 3]) }),
  'a rising schedule': (model) => model.txt2img({ ...tiny, sigmas: [1, 2, 3] }),
  'another size of mask': (model) =>
    model.inpaint({ ...tiny, image: picture, mask: { width: 1, height: 1, channels: 3, data: new Uint8Array(2) } }),
};

/** Does one random thing; says what. */
async function step(model: Model, random: Random): Promise<string> {
  const kind = random.below(10);
  if (kind < 2) {
    const what = random.pick(Object.keys(failures));
    await expect(failures[what]?.(model), what).rejects.toMatchObject({ code: /^ERR_/ });
    return `fail: ${what}`;
  }
  const what = random.pick(Object.keys(jobs));
  const controller = new AbortController();
  const reason = new Error('aborted on purpose');
  // Most are aborted: at the n-th event, or so many milliseconds after the start.
  const events = kind < 6 ? random.below(4) : Infinity;
  let seen = 0;
  const onProgress = (): void => {
    if (seen++ >= events) controller.abort(reason);
  };
  const timer = kind >= 8 ? setTimeout(() => controller.abort(reason), random.below(300)) : undefined;
  const outcome = await jobs[what]?.(model, random, { signal: controller.signal, onProgress }).then(
    () => 'done',
    (error: unknown) => error,
  );
  clearTimeout(timer);
  if (outcome !== 'done') expect(outcome).toBe(reason);
  return `${what}: ${outcome === 'done' ? 'done' : 'aborted'}`;
}

describe('a model', () => {
  it('is as it was after any sequence of jobs, aborted jobs and failures', async () => {
    const random = seeded(testSeed('model property'));
    const { model } = fixture;
    const expected = await witness(model);
    const log: string[] = [];
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 3; i++) log.push(await step(model, random));
      expect(await witness(model), log.join('\n')).toEqual(expected);
    }
    expect(log.some((line) => line.endsWith('aborted'))).toBe(true);
    expect(log.some((line) => line.endsWith('done'))).toBe(true);
    expect(model.queue.length).toBe(0);
  });
});
