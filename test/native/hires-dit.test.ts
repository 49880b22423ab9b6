import { beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, type ModelEvent, type Runtime } from '../../lib/index.js';
import { hiresSize } from '../../lib/pipeline/hires/size.js';
import { hiresSigmas, hiresSteps } from '../../lib/pipeline/hires/steps.js';
import { upscalePixels } from '../../lib/pipeline/hires/upscalePixels.js';
import { memoryJobs } from '../support/memoryJobs.js';
import { edge, expectPicture, failure, hashes, only, threads, tiny, useModel } from '../support/native.js';
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
const hires = { width: 96, height: edge, denoisingStrength: 0.6, steps: 1, ...second };
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

  it('takes no more than was estimated, and fits the limit that it was planned for', async () => {
    const [free] = await memoryJobs({ requests: [job()] });
    if (free?.refused !== undefined || free === undefined) throw new Error(free?.message ?? 'The child told nothing');
    expect(free.models).toEqual(['load flux', 'switch flux']);
    // Both models and the largest stage.
    expect(free.estimate.weights).toBeGreaterThan(syntheticBytes('flux-narrow'));
    expect(free.sinceStart).toBeLessThan(free.estimate.peak * 1.05 + 32 * 2 ** 20);
    expect(free.sinceStart).toBeGreaterThan(free.estimate.peak * 0.7);
  });

  it('in an isolated engine has the same bytes', async () => {
    const runtime: Runtime = await createRuntime({ backend: 'cpu', threads, isolation: 'process' });
    const model = await runtime.loadModel({ mmap: true });
    const isolated = hashes(await model.txt2img(job()));
    await runtime.dispose();
    expect(isolated).toEqual(hashes(await fixture.model.txt2img(job())));
  });
});
