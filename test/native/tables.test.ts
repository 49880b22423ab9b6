import { describe, expect, it } from 'vitest';
import { samplerLabels, scheduleLabels } from '../../lib/options/index.js';
import { predictions, rngs, samplers, schedules, stepCacheModes, weightTypes } from '../../lib/index.js';
import { deviation, edge, expectPicture, hashes, only, rawAddon, tiny, useModel } from '../support/native.js';

const fixture = useModel();

const sampling = { width: edge, height: edge, steps: 2, cfgScale: 1, schedule: 'discrete', seed: 1 } as const;

describe("our names are the engine's", () => {
  const { tables } = rawAddon();

  it.each([
    ['samplers', samplers],
    ['schedules', schedules],
    ['rngs', rngs],
    ['predictions', predictions],
  ] as const)('%s, in order', (name, ours) => {
    expect([...ours]).toEqual([...tables[name]]);
  });

  it('weight types are types the engine knows', () => {
    expect(weightTypes.filter((type) => !tables.weightTypes.includes(type))).toEqual([]);
  });

  it('architectures have distinct names', () => {
    expect(new Set(tables.architectures).size).toBe(tables.architectures.length);
    expect(tables.architectures).toContain(fixture.model.info.architecture);
  });

  it('previews are those that requests are turned into', () => {
    expect([...tables.previews].sort()).toEqual(['none', 'proj', 'tae', 'vae']);
  });

  it("the model's defaults are in the tables", () => {
    const { defaultSampler, defaultSchedule, prediction } = fixture.model.info;
    expect(tables.samplers).toContain(defaultSampler);
    expect(tables.schedules).toContain(defaultSchedule);
    expect(tables.predictions).toContain(prediction);
  });
});

describe('every sampler draws', () => {
  const drawn = new Map<string, string>();

  it.each(samplers)('%s', async (sampler) => {
    const { model } = fixture;
    using conditioning = await model.encodePrompt({ prompt: tiny.prompt, negativePrompt: null });
    const latent = await model.sample({ ...sampling, conditioning, sampler });
    const values = latent.toFloat32Array();
    expect(values.every(Number.isFinite)).toBe(true);
    expect(deviation(values)).toBeGreaterThan(0.1);
    const [image] = await model.decodeLatent({ latent });
    if (image === undefined) throw new Error('nothing was decoded');
    expectPicture(image);
    drawn.set(sampler, hashes({ images: [image] }).join());
  });

  it('not all of them the same', () => {
    expect(drawn.size).toBe(samplers.length);
    expect(new Set(drawn.values()).size).toBeGreaterThan(samplers.length / 2);
  });
});

describe('every schedule', () => {
  it.each(schedules)('%s decreases from noise to nothing and draws', async (schedule) => {
    const { model } = fixture;
    const steps = 2;
    const sigmas = await model.sigmas({ steps, schedule, sampler: 'euler', width: edge, height: edge });
    expect(sigmas.length).toBe(steps + 1);
    expect(sigmas.at(-1)).toBe(0);
    for (let i = 1; i < sigmas.length; i++) expect(sigmas[i]).toBeLessThan(sigmas[i - 1] ?? NaN);
    const image = only(await model.txt2img({ ...tiny, steps, schedule }));
    expectPicture(image);
    expect(image.parameters).toMatchObject({ schedule });
  });
});

describe('names of A1111', () => {
  it.each(samplers)('sampler %s by its label', async (sampler) => {
    const sigmas = await fixture.model.sigmas({ steps: 3, sampler: samplerLabels[sampler] });
    expect(sigmas).toEqual(await fixture.model.sigmas({ steps: 3, sampler }));
  });

  it.each(schedules)('schedule %s by its label', async (schedule) => {
    const sigmas = await fixture.model.sigmas({ steps: 3, schedule: scheduleLabels[schedule] });
    expect(sigmas).toEqual(await fixture.model.sigmas({ steps: 3, schedule }));
  });

  it('draw the same picture', async () => {
    const { model } = fixture;
    const { schedule: _, ...request } = tiny;
    const ours = await model.txt2img({ ...request, sampler: 'dpm++2m', schedule: 'karras' });
    const theirs = await model.txt2img({ ...request, sampler: 'DPM++ 2M Karras' });
    expect(hashes(theirs)).toEqual(hashes(ours));
  });
});

describe('every step cache', () => {
  const forUnet = ['ucache', 'spectrum'];

  it.each(stepCacheModes.filter((mode) => mode === 'none' || forUnet.includes(mode)))('%s draws', async (mode) => {
    const image = only(await fixture.model.txt2img({ ...tiny, steps: 4, stepCache: { mode } }));
    expectPicture(image);
  });

  it.each(stepCacheModes.filter((mode) => mode !== 'none' && !forUnet.includes(mode)))(
    '%s is refused by a UNet model',
    async (mode) => {
      await expect(fixture.model.txt2img({ ...tiny, stepCache: { mode } })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        field: 'stepCache.mode',
      });
    },
  );
});
