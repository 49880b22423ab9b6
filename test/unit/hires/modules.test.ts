import { afterAll, describe, expect, it } from 'vitest';
import { flux, history, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakeFile } from '../../support/fakeFiles.js';

const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };
const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

async function models(...given: Parameters<typeof twoModels>): Promise<TwoModels> {
  const two = await twoModels(...given);
  made.push(two);
  return two;
}

const bare = fakeFile('bare', ['diffusionModel']);
const noVae = fakeFile('no-vae', ['diffusionModel', 'textEncoder']);
const vae = fakeFile('vae', ['soleVae']);
const tiny = fakeFile('tiny', ['soleTaesd']);
const clip = fakeFile('clip', ['soleClipL']);
const t5 = fakeFile('t5', ['soleT5']);

/** Files of the last load. */
function lastLoad({ fake }: TwoModels): object | undefined {
  return fake.of('loadModel').at(-1)?.params.files;
}

describe('modules of the second pass', () => {
  it("'built-in', which is the default with a checkpoint, are those inside", async () => {
    const two = await models();
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    expect(lastLoad(two)).toEqual({ checkpoint: two.b });
    expect(history(two, ['encodePrompt', 'decodeLatent'])).toEqual([
      ...['2 x encodePrompt a', '2 x encodePrompt b', 'decodeLatent b'],
    ]);
  });

  it("'same' are those of the first: its text encoders encode, its VAE decodes", async () => {
    const two = await models();
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b, modules: 'same', prompt: 'y' } });
    expect(history(two, ['encodePrompt', 'sample', 'decodeLatent', 'encodeImages'])).toEqual([
      ...['2 x encodePrompt a', 'sample a', 'encodePrompt a', 'sample b', 'decodeLatent a'],
    ]);
  });

  it("'same' without a checkpoint is the model itself", async () => {
    const two = await models();
    await two.model.txt2img({ ...request, hires: { modules: 'same' } });
    expect(two.fake.of('loadModel')).toHaveLength(1);
  });

  it("'same' makes a checkpoint whole that has nothing but the diffusion model", async () => {
    const two = await models();
    await two.model.txt2img({ ...request, hires: { checkpoint: bare, modules: 'same' } });
    expect(lastLoad(two)).toEqual({ checkpoint: two.a, diffusionModel: bare });
  });

  it('in a list take the place that their headers say', async () => {
    const two = await models();
    await two.model.txt2img({ ...request, hires: { checkpoint: bare, modules: [t5, vae, clip] } });
    expect(lastLoad(two)).toEqual({ diffusionModel: bare, vae, clipL: clip, t5xxl: t5 });
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b, modules: [tiny] } });
    expect(lastLoad(two)).toEqual({ checkpoint: two.b, taesd: tiny });
    await two.model.txt2img({ ...request, hires: { modules: [vae] } });
    expect(lastLoad(two)).toEqual({ checkpoint: two.a, vae });
  });

  it.each([
    [
      { checkpoint: bare },
      'ERR_MODEL_UNSUPPORTED',
      'hires.checkpoint',
      /no text encoder and no VAE.*modules: \[paths\]/,
    ],
    [{ checkpoint: noVae }, 'ERR_MODEL_UNSUPPORTED', 'hires.checkpoint', /has no VAE.*modules: 'same'/],
    [{ checkpoint: bare, modules: [vae] }, 'ERR_MODEL_UNSUPPORTED', 'hires.checkpoint', /has no text encoder/],
    [{ modules: ['/no/such.safetensors'] }, 'ERR_MODEL_NOT_FOUND', 'hires.modules[0]', /no\/such/],
    [{ modules: [vae, bare] }, 'ERR_MODEL_UNSUPPORTED', 'hires.modules[1]', /no module of a model/],
    [{ modules: 'buildin' as never }, 'ERR_INVALID_OPTION', 'hires.modules', /'built-in'/],
    [{ modules: [vae, fakeFile('vae', ['soleVae'])] }, 'ERR_INVALID_OPTION', 'hires.modules[1]', /is the vae already/],
  ])('%o is refused before anything is sampled', async (hires, code, field, message) => {
    const two = await models();
    const error = await two.model.txt2img({ ...request, hires }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code, field, message: expect.stringMatching(message) as string });
    expect(two.fake.of('sample')).toHaveLength(0);
    expect(two.fake.of('loadModel')).toHaveLength(1);
    await two.model.txt2img(request);
  });

  it.each([
    ['whole', flux, (b: string) => b, {}],
    [
      'bare',
      {},
      () => bare,
      { infoOf: ({ diffusionModel }: { diffusionModel?: string }) => (diffusionModel === bare ? flux : {}) },
    ],
    ['of SDXL', { architecture: 'SDXL', isSdxl: true }, (b: string) => b, {}],
  ] as const)(
    "'same' across architectures is refused where a prompt or a latent would mean something else: %s",
    async (_name, second, file, options) => {
      const two = await models(second, options);
      const job = { ...request, hires: { checkpoint: file(two.b), modules: 'same' as const } };
      await expect(two.model.txt2img(job)).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        field: 'hires.modules',
      });
      expect(two.fake.of('sample')).toHaveLength(0);
    },
  );
});
