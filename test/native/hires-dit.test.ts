import { beforeAll, describe, expect, it } from 'vitest';
import type { ModelEvent } from '../../lib/index.js';
import { hiresSize } from '../../lib/pipeline/hires/size.js';
import { hiresSigmas, hiresSteps } from '../../lib/pipeline/hires/steps.js';
import { upscalePixels } from '../../lib/pipeline/hires/upscalePixels.js';
import { memoryJobs } from '../support/memoryJobs.js';
import { edge, expectPicture, failure, hashes, only, tiny, useModel } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { syntheticBytes, writeSynthetic } from '../support/synthetic/index.js';

// A first pass with a UNet of 4 latent channels, a second with a transformer of 16: FLUX's shape, narrow, random weights.
const fixture = useModel({ mmap: true });
const scratch = useScratch(syntheticBytes('flux-narrow'));
let checkpoint: string;
beforeAll(async () => {
  checkpoint = scratch.path('flux.safetensors');
  await writeSynthetic('flux-narrow', checkpoint, { seed: 1 });
});

const size = hiresSize(
  { width: edge, height: edge },
  { width: 96, height: edge },
  { sizeMultiple: 16, scaleFactor: 8 },
);
const second = { sampler: 'euler', schedule: 'discrete', cfgScale: 1, guidance: 3.5 } as const;
// The last of three steps: at the first a flow model's start would be noise alone.
const hires = { width: 96, height: edge, denoisingStrength: 0.3, steps: 1, ...second };
const job = () => ({ ...tiny, hires: { ...hires, checkpoint } });

describe('a second pass with a model of another kind', () => {
  it('is A decoded, the pixels enlarged, B encoding and sampling them, byte for byte; latents give way with a warning', async () => {
    const { model, runtime } = fixture;
    const events: string[] = [];
    const request = { ...job(), hires: { ...job().hires, upscaler: 'latent' } };
    const onModel = ({ action, model: name }: ModelEvent): void => void events.push(`${action} ${name}`);
    const { images, warnings } = await model.txt2img({ ...request, onModel });
    expect(warnings.map(({ code }) => code)).toEqual(['upscaler']);
    expect(events).toEqual(['load flux', 'switch flux']);
    const image = only({ images });
    expectPicture(image, size.width, size.height);
    expect(image.infotext).toContain('Hires upscaler: Lanczos');

    const picture = only(await model.txt2img(tiny));
    // The same weights that the pass has read; its settings are the first model's.
    const b = await runtime.loadModel({ checkpoint, mmap: true });
    expect([model.info.latentChannels, b.info.latentChannels]).toEqual([4, 16]);
    const enlarged = await upscalePixels(picture, size, 'lanczos');
    const latent = await b.encodeImage({ image: enlarged as never, seed: tiny.seed });
    const { width, height } = size;
    using conditioning = await b.encodePrompt({ prompt: tiny.prompt, negativePrompt: '', width, height });
    const asked = hiresSteps(1, hires.denoisingStrength);
    const levels = await b.sigmas({ steps: asked.total, sampler: 'euler', schedule: 'discrete', width, height });
    const sampled = await b.sample({
      ...{ conditioning, latent, sigmas: hiresSigmas(levels, asked), denoisingStrength: 1, seed: tiny.seed },
      ...{ sampler: 'euler', cfgScale: 1, guidance: 3.5 },
    });
    expect(hashes({ images: (await b.decodeLatent({ latent: sampled })) as never })).toEqual(
      hashes({ images: [image] }),
    );
    // What the second pass makes depends on what the first has drawn.
    const other = only(await model.txt2img({ ...job(), seed: 2, hires: { ...job().hires, seed: 1 } }));
    expect(hashes({ images: [other] })).not.toEqual(hashes({ images: [image] }));
    await b.dispose();
  });

  it('refuses latents under strict before the first step', async () => {
    const phases = new Set<string>();
    const strict = { ...job(), hires: { ...job().hires, upscaler: 'latent', strict: true } };
    const error = await failure(
      fixture.model.txt2img({ ...strict, onProgress: ({ phase }) => void phases.add(phase) }),
    );
    expect(error).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'hires.upscaler' });
    expect([...phases]).toEqual([]);
  });

  it('takes what was planned; where both have no room together, the first leaves and memoryLimit holds', async () => {
    const run = async (memoryLimit?: number) => {
      const runtime = memoryLimit === undefined ? {} : { memoryLimit };
      const [told] = await memoryJobs({ runtime, requests: [job()] });
      if (told?.refused !== undefined || told === undefined) throw new Error(told?.message ?? 'The child told nothing');
      return told;
    };
    const free = await run();
    expect(free.models).toEqual(['load flux', 'switch flux']);
    // Both models; beside what was planned is what the process and its allocator take for themselves.
    expect(free.planned).toBeGreaterThan(fixture.model.info.bytes + syntheticBytes('flux-narrow'));
    expect(free.sinceStart).toBeGreaterThan(free.planned * 0.95);
    expect(free.sinceStart).toBeLessThan(free.planned * 1.1 + 64 * 2 ** 20);
    const limit = Math.round(free.estimate.peak + 256 * 2 ** 20);
    expect(limit).toBeLessThan(free.planned);
    const limited = await run(limit);
    expect(limited.unloads).toEqual(['nano']);
    expect(limited.models).toEqual(['unload nano', 'load flux', 'switch flux']);
    expect(limited.sinceStart).toBeLessThan(limit);
    expect(limited.hash).toBe(free.hash);
  });
});
