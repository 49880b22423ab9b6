import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseInfotext, type Txt2ImgRequest } from '../../../lib/index.js';
import { runMode } from '../../../lib/pipeline/modes.js';
import { FakeAddon, type FakeCall } from '../../support/fakeAddon.js';
import { flux, twoModels, type TwoModels } from '../../support/fakeCheckpoints.js';
import { fakePair, ownOf } from '../../support/fakeHires.js';
import { lowRank, writeLora } from '../../support/lora/files.js';
import { useScratch } from '../../support/scratch.js';

const scratch = useScratch(2 ** 20);
const base = 'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0';
const tensor = 'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.weight';
const tensors = [{ name: tensor, type: 'f16', shape: [8, 4] }];
const request = { prompt: 'x', width: 64, height: 64, steps: 2, seed: 1 };

beforeAll(() => {
  for (const [index, name] of ['one', 'two'].entries())
    writeLora(scratch.path(`${name}.safetensors`), lowRank({ [base]: [8, 4] }, { seed: index + 1 }));
});

const made: TwoModels[] = [];
afterAll(() => Promise.all(made.map(({ runtime }) => runtime.dispose())));

async function models(second = {}): Promise<TwoModels> {
  const two = await twoModels(second, {
    tensors,
    runtime: { loraDirectories: [scratch.path('.')] },
  });
  made.push(two);
  return two;
}

/** LoRA files in the weights at every sampling, and the model it was. */
function atSampling({ fake, b }: Pick<TwoModels, 'fake' | 'b'>): string[] {
  const state = new Map<number, string>();
  return (fake.calls as FakeCall[]).flatMap(({ op, params, model }) => {
    if (op === 'applyWeights' || op === 'applyRuntime') {
      const { files, targets } = params as FakeCall<'applyWeights'>['params'];
      const used = targets.some(({ deltas }) => deltas.length > 0);
      const names = files.map(({ path }) => path.replace(/^.*\/(\w+)\.safetensors$/, '$1'));
      state.set(model, used ? names.join('+') : 'none');
    }
    if (op !== 'sample') return [];
    const which = fake.loads.get(model)?.files.checkpoint === b ? 'b' : 'a';
    return [`${which} ${state.get(model) ?? 'none'}`];
  });
}

async function run(given: Partial<Txt2ImgRequest>, second: object | undefined = undefined): Promise<string[]> {
  const two = await models(second ?? {});
  const hires = { ...given.hires, ...(second === undefined ? {} : { checkpoint: two.b }) };
  const { images, warnings } = await two.model.txt2img({ ...request, ...given, hires });
  // A caption that makes the picture again says which LoRAs each pass had.
  const { prompt, parameters } = parseInfotext(images[0]?.infotext ?? '');
  const own = parameters['Hires prompt'] ?? '-';
  return [...atSampling(two), prompt, own.trim(), ...warnings.map(({ code }) => code)];
}

const one = 'x <lora:one:0.5>';

describe('LoRAs of the second pass', () => {
  it.each<readonly [string, Partial<Txt2ImgRequest>, object | undefined, string[]]>([
    ['are those of the first', { prompt: one }, undefined, ['a one', 'a one', one, '-']],
    ['are those of the first, in another checkpoint', { prompt: one }, {}, ['a one', 'b one', one, '-']],
    [
      'are none when its list is empty',
      { prompt: one, hires: { loras: [] } },
      undefined,
      ['a one', 'a none', one, 'x'],
    ],
    [
      'are those of its list',
      { prompt: one, hires: { loras: [{ name: 'two', weight: 0.5 }] } },
      undefined,
      ['a one', 'a two', one, 'x <lora:two:0.5>'],
    ],
    [
      'are those of its tags',
      { prompt: one, hires: { prompt: 'y <lora:two:1>' } },
      undefined,
      ['a one', 'a two', one, 'y <lora:two:1>'],
    ],
    [
      'are those of its tags, in another checkpoint',
      { prompt: one, hires: { prompt: 'y <lora:two:1>' } },
      {},
      ['a one', 'b two', one, 'y <lora:two:1>'],
    ],
    // As in A1111, where tags are part of the prompt that has them.
    [
      'are none when its prompt has no tag',
      { prompt: one, hires: { prompt: 'y' } },
      undefined,
      ['a one', 'a none', one, 'y'],
    ],
    [
      'are those of the job where its own prompt has no tag',
      { loras: [{ name: 'one', weight: 0.5 }], hires: { prompt: 'y' } },
      undefined,
      ['a one', 'a one', one, 'y <lora:one:0.5>'],
    ],
    [
      'of a first pass do not go with another architecture',
      { prompt: one },
      flux,
      ['a one', 'b none', one, 'x', 'loras'],
    ],
    ['are no matter of a warning where there are none', {}, flux, ['a none', 'b none', 'x', '-']],
  ])('%s', async (_name, given, second, wanted) => {
    expect(await run(given, second)).toEqual(wanted);
  });

  it('are those of the model where no pass names any', async () => {
    const two = await models();
    await two.model.loras.set([{ name: 'one', weight: 1 }]);
    await two.model.txt2img({ ...request, hires: {} });
    await two.model.txt2img({ ...request, hires: { checkpoint: two.b } });
    await two.model.txt2img({ ...request, hires: { modules: 'built-in' } });
    expect(atSampling(two)).toEqual(['a one', 'a one', 'a one', 'b one', 'a one', 'a one']);
    // Once for each model: its own checkpoint with what is built in is the model itself.
    expect(two.fake.of('applyWeights')).toHaveLength(2);
  });

  it('change there and back from job to job', async () => {
    const two = await models();
    const job = { ...request, prompt: one, hires: { prompt: 'y <lora:two:1>' } };
    await two.model.txt2img(job);
    await two.model.txt2img(job);
    expect(atSampling(two)).toEqual(['a one', 'a two', 'a one', 'a two']);
  });

  it('are in weights that compiling has read anew', async () => {
    const fake = new FakeAddon({ tensors });
    const { model } = fakePair(fake, {
      ...{ second: {}, parts: ownOf('second'), keeps: false },
      compile: async (_key, native, { residents }) => {
        await Promise.all(residents.map((resident) => resident.drop()));
        return { ...native };
      },
    });
    const loras = [{ path: scratch.path('one.safetensors'), weight: 1 }];
    await runMode(model, 'txt2img', { ...request, loras, batchSize: 2, hires: { checkpoint: '/b.safetensors' } });
    expect(atSampling({ fake, b: '' })).toEqual(['a one', 'a one', 'a one', 'a one']);
  });
});
