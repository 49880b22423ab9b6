import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEmbeddedModel } from '../../lib/model/index.js';
import type { NativeModel } from '../../lib/native/index.js';
import { lowRank, type Part, writeLora } from '../support/lora/files.js';
import { diffusersNames } from '../support/lora/diffusersNames.js';
import { expectPlaces, keyStyles } from '../support/lora/keyStyles.js';
import { useRawWeights } from '../support/lora/weights.js';
import { rawAddon } from '../support/native.js';
import { loadOptions } from '../support/nativeParams.js';
import { useScratch } from '../support/scratch.js';
import { writeHollow } from '../support/synthetic/index.js';

// Others are in test/full/lora-names.test.ts.
const scratch = useScratch(2 ** 26);

const hollow = async (): Promise<string> => {
  const path = scratch.path('flux.safetensors');
  await writeHollow('flux-narrow', path);
  return path;
};
const models = [
  ['the embedded model', 'unet', async () => (await ensureEmbeddedModel()).checkpoint],
  ['a narrow Flux', 'flux', hollow],
] as const;

describe.each(models)('%s', (_, family, checkpoint) => {
  let native: NativeModel | undefined;
  beforeAll(async () => {
    native = await rawAddon().loadModel(
      loadOptions({ checkpoint: await checkpoint() }, { mmap: true, withoutVae: true }),
      null,
    ).promise;
  });
  afterAll(() => native?.dispose());

  it.each(Object.entries(keyStyles))('%s: every module has its rows', async (__, style) => {
    if (native === undefined) throw new Error('The model was not loaded');
    expect(await expectPlaces(native, family, style)).toBeGreaterThan(30);
  });
});

describe('one LoRA of the embedded model', () => {
  const fixture = useRawWeights();
  const modules = [
    'input_blocks.0.0',
    'input_blocks.1.1.transformer_blocks.0.attn1.to_q',
    'input_blocks.3.0.op',
    'input_blocks.4.1.transformer_blocks.0.ff.net.0.proj',
    'output_blocks.4.0.in_layers.2',
    'output_blocks.6.1.transformer_blocks.0.attn2.to_out.0',
    'time_embed.2',
  ];
  const texts = ['text_model.encoder.layers.0.self_attn.q_proj', 'text_model.encoder.layers.1.mlp.fc2'];

  it('gives the same weights under every style of keys', async () => {
    const { weights } = fixture;
    const plain = await weights.digest();
    const shapeOf = (name: string): readonly [number, number] => {
      const [output = 0, ...input] = weights.info(name).shape;
      return [output, input.reduce((a, b) => a * b, 1)];
    };
    const shapes = Object.fromEntries([
      ...modules.map((name) => [name, shapeOf(`model.diffusion_model.${name}.weight`)] as const),
      ...texts.map((name) => [name, shapeOf(`cond_stage_model.transformer.${name}.weight`)] as const),
    ]);
    const tensors = lowRank(shapes, { seed: 4 });
    const digests: string[] = [];
    for (const style of Object.values(keyStyles)) {
      const [up, down] = style.ends;
      const baseOf = (name: string): string => {
        if (texts.includes(name)) return style.text(name, 1);
        return style.module(style.diffusers ? diffusersNames('unet', name).join() : name);
      };
      const renamed = Object.entries(tensors).map(([key, part]): [string, Part] => {
        const [, name = '', suffix = ''] = /^(.*?)(\.lora_up\.weight|\.lora_down\.weight|\.alpha)$/.exec(key) ?? [];
        const end = suffix === '.alpha' ? suffix : suffix === '.lora_up.weight' ? up : down;
        return [baseOf(name) + end, part];
      });
      const path = writeLora(scratch.path('style.safetensors'), Object.fromEntries(renamed));
      const report = await weights.set([{ path }]);
      expect(report).toMatchObject({ tensors: modules.length + texts.length, warnings: [] });
      digests.push(await weights.digest());
      await weights.set([]);
    }
    expect(new Set(digests).size).toBe(1);
    expect(digests[0]).not.toBe(plain);
    expect(await weights.digest()).toBe(plain);
  });
});
