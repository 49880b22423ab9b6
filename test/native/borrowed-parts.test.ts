import { symlink } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel, type PreviewEvent } from '../../lib/index.js';
import type { NativeModel } from '../../lib/native/index.js';
import { lowRank, writeLora } from '../support/lora/files.js';
import { edge, hashes, rawAddon, rejection, tiny, useModel } from '../support/native.js';
import { decodeParams, encodeParams, loadOptions, promptParams, sampleParams } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';

const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 24);
let files: { checkpoint: string; taesd: string };
/** The same weights under another name: another checkpoint for all that anybody knows. */
let copy: string;
let taesdCopy: string;
/** Changes the text encoder and nothing else; and one that changes both. */
const loras = { text: '', both: '' };

beforeAll(async () => {
  const { checkpoint, taesd } = await ensureEmbeddedModel();
  files = { checkpoint, taesd };
  copy = scratch.path('copy.safetensors');
  await symlink(checkpoint, copy);
  taesdCopy = scratch.path('tiny.safetensors');
  await symlink(taesd, taesdCopy);
  const text = { lora_te_text_model_encoder_layers_0_mlp_fc1: [3072, 768] } as const;
  const unet = { lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_v: [320, 320] } as const;
  loras.text = writeLora(scratch.path('text.safetensors'), lowRank(text, { seed: 3, size: 0.1 }));
  loras.both = writeLora(scratch.path('both.safetensors'), lowRank({ ...text, ...unet }, { seed: 4, size: 0.1 }));
});

const withoutBoth = { withoutTextEncoder: true, withoutVae: true };

describe('a native model without the parts that another lends', () => {
  it('has no memory for them, samples the same bytes, and refuses what it has no part for', async () => {
    const load = (change = {}): Promise<NativeModel> =>
      rawAddon().loadModel(loadOptions({ checkpoint: copy, taesd: files.taesd }, change), null).promise;
    const [whole, part] = [await load(), await load(withoutBoth)];
    try {
      const bytes = (model: NativeModel, name: string): number | undefined =>
        model.info.components.find((component) => component.name === name)?.bytes;
      expect(bytes(whole, 'textEncoder')).toBeGreaterThan(2 ** 26);
      expect(['textEncoder', 'vae'].map((name) => bytes(part, name))).toEqual([0, 0]);
      expect(bytes(part, 'diffusionModel')).toBe(bytes(whole, 'diffusionModel'));
      // The names are known all the same: a LoRA for both parts is one for this model.
      const names = async (model: NativeModel): Promise<string[]> =>
        (await model.tensors().promise).map(({ name }) => name).sort();
      expect(await names(part)).toEqual(await names(whole));

      const cond = await whole.encodePrompt(promptParams(), null).promise;
      const drawn = await whole.sample(sampleParams(cond), null).promise;
      expect((await part.sample(sampleParams(cond), null).promise).data).toEqual(drawn.data);
      for (const job of [
        part.encodePrompt(promptParams(), null),
        part.decodeLatent(decodeParams(), null),
        part.encodeImages(encodeParams(), null),
        part.sample({ ...sampleParams(cond), preview: 'vae' }, null),
      ])
        expect(await rejection(job.promise)).toMatchObject({
          code: 'ERR_INVALID_OPTION',
          message: expect.stringContaining('without its') as string,
        });
      expect((await part.sample(sampleParams(cond), null).promise).data).toEqual(drawn.data);
    } finally {
      await part.dispose();
      await whole.dispose();
    }
  });
});

describe("a second pass with modules: 'same'", () => {
  const request = (modules: 'same' | string[], first: object = {}, second: object = {}) => ({
    ...tiny,
    ...first,
    hires: {
      ...{ width: 2 * edge, height: edge, denoisingStrength: 0.6, steps: 2, upscaler: 'latent-bicubic' },
      ...{ checkpoint: copy, modules },
      ...second,
    },
  });

  it('reads the diffusion model alone, and a module that the first model has is not read again', async () => {
    const { model } = fixture;
    const weights = async (modules: 'same' | string[]): Promise<number> => {
      const { peak, passes } = await model.plan(request(modules));
      return peak - Math.max(...passes.map(({ memory }) => memory));
    };
    const { components } = model.info;
    const bytes = (part: string): number =>
      components.filter(({ name }) => name === part).reduce((sum, component) => sum + component.bytes, 0);
    const [own, tiny, same] = [await weights([taesdCopy]), await weights([files.taesd]), await weights('same')];
    expect(own - tiny).toBe(bytes('vae'));
    expect(tiny - same).toBe(bytes('textEncoder'));
    expect(bytes('vae')).toBeGreaterThan(2 ** 20);
    expect(bytes('textEncoder')).toBeGreaterThan(2 ** 26);
  });

  it('has the LoRAs of its pass in the text encoder that it borrows, and the first pass has its own', async () => {
    const { model } = fixture;
    const digest = await model.weightsDigest();
    const drawn = new Set<string>();
    for (const second of [[], [{ path: loras.text }], [{ path: loras.both, weight: 0.5 }]]) {
      const sets = [{ loras: [{ path: loras.both }] }, { loras: second }] as const;
      const alone = hashes(await model.txt2img(request([taesdCopy], ...sets)));
      expect(hashes(await model.txt2img(request('same', ...sets)))).toEqual(alone);
      expect(hashes(await model.txt2img(request([files.taesd], ...sets)))).toEqual(alone);
      drawn.add(alone.join());
    }
    expect(drawn.size).toBe(3);
    // The model has its own weights again as soon as a job of its own wants them.
    await model.txt2img(tiny);
    expect(await model.weightsDigest()).toEqual(digest);
  });

  it('shows previews by projection, since it has no VAE', async () => {
    const seen: number[] = [];
    const onPreview = ({ preview }: PreviewEvent): void => void seen.push(preview.width);
    await fixture.model.txt2img({ ...request('same'), preview: { mode: 'vae' }, onPreview });
    // Those of the first pass have the size of the picture, a projection that of the latent.
    expect(seen).toContain(edge);
    expect(seen.at(-1)).toBe((2 * edge) / 8);
  });
});
