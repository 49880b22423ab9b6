import { rename, stat, utimes } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createRuntime,
  infotextToRequest,
  type LoadModelOptions,
  type LoraMode,
  type Model,
  parseInfotext,
  type Runtime,
} from '../../lib/index.js';
import { psnr } from '../parity/psnr.js';
import { best } from '../support/best.js';
import { lowRank, type Part, seeded, writeLora } from '../support/lora/files.js';
import { failure, hashes, only, threads, tiny } from '../support/native.js';
import { useScratch } from '../support/scratch.js';

const scratch = useScratch(64 * 2 ** 20);
const request = { ...tiny, cfgScale: 2, negativePrompt: '' } as const;
let [runtime, model]: [Runtime?, Model?] = [];
const paths = { style: '', text: '', other: '' };

const blocks = ['1_1', '4_1', '7_1'];
const wide: Readonly<Record<string, number>> = { '1_1': 320, '4_1': 640, '7_1': 1280 };

/** Visible in every picture: low rank on attention of the encoder half. */
function style(seed: number, size = 0.08): Record<string, Part> {
  const modules = blocks.flatMap((block) =>
    ['attn1_to_q', 'attn1_to_k', 'attn1_to_v'].map((name) => {
      const width = wide[block] ?? 0;
      return [`lora_unet_input_blocks_${block}_transformer_blocks_0_${name}`, [width, width]] as const;
    }),
  );
  return lowRank(Object.fromEntries(modules), { seed, size });
}

beforeAll(async () => {
  paths.style = writeLora(scratch.path('style.safetensors'), style(1), { ss_output_name: 'My Style' });
  paths.other = writeLora(scratch.path('other.safetensors'), style(2));
  const layer = 'lora_te_text_model_encoder_layers_0_mlp_fc1';
  paths.text = writeLora(scratch.path('text.safetensors'), lowRank({ [layer]: [3072, 768] }, { seed: 3, size: 0.1 }));
  runtime = await createRuntime({ backend: 'cpu', threads, loraDirectories: [scratch.path('.')] });
  model = await runtime.loadModel();
});
afterAll(() => runtime?.dispose({ abort: true }));

const loaded = (): Model => {
  if (model === undefined) throw new Error('The model was not loaded');
  return model;
};

describe('model.loras', () => {
  it('changes pictures while it is set, and leaves no trace afterwards', async () => {
    const plain = await loaded().txt2img(request);
    const digest = await loaded().weightsDigest();
    const events: string[] = [];
    const report = await loaded().loras.set([{ path: paths.style }], { onProgress: ({ phase }) => events.push(phase) });
    expect(report).toMatchObject({ mode: 'merge', backup: 'file', tensors: 9, merged: 9, restored: 0, warnings: [] });
    expect(report.files).toMatchObject([
      { name: 'style', kinds: ['lora'], rank: { min: 4, max: 4 }, modules: 9, matched: 9 },
    ]);
    expect(new Set(events)).toEqual(new Set(['lora']));
    expect(loaded().loras.current).toMatchObject([{ name: 'style', path: paths.style, unetWeight: 1 }]);
    const styled = await loaded().txt2img(request);
    expect(hashes(styled)).not.toEqual(hashes(plain));
    expect((await loaded().weightsDigest()).sha256).not.toBe(digest.sha256);
    expect(await loaded().memory()).toMatchObject({ backups: { file: 0, ram: 0, device: 0 }, changedTensors: 9 });
    await loaded().loras.set([]);
    expect(await loaded().weightsDigest()).toEqual(digest);
    expect(hashes(await loaded().txt2img(request))).toEqual(hashes(plain));
  });

  it('a set that was kept draws the picture it drew before, and so does the model without it', async () => {
    const keeping = await runtime?.loadModel({ loraCacheBytes: 2 ** 27 });
    if (keeping === undefined) throw new Error('The model was not loaded');
    await using model = keeping;
    const draw = async (...set: string[]): Promise<string> => {
      await model.loras.set(set.map((path) => ({ path })));
      return hashes(await model.txt2img(request)).join();
    };
    const [plain, styled, both] = [await draw(), await draw(paths.style), await draw(paths.style, paths.other)];
    expect(new Set([plain, styled, both]).size).toBe(3);
    const report = await model.loras.set([{ path: paths.style }]);
    expect(report).toMatchObject({ copied: 9, merged: 0 });
    expect(await draw(paths.style)).toBe(styled);
    // The memory of the weights themselves holds the set of both all the while.
    expect(await draw(paths.style, paths.other)).toBe(both);
    expect(await draw(paths.style)).toBe(styled);
    expect(await draw()).toBe(plain);
    expect(await model.loras.set([{ path: paths.style }])).toMatchObject({ copied: 9, merged: 0 });
    expect(await draw(paths.style)).toBe(styled);
    expect(await draw()).toBe(plain);
    expect((await model.memory()).changedTensors).toBe(0);
  });

  it('the same set again takes no time and touches nothing', async () => {
    await loaded().loras.set([{ path: paths.style }]);
    const again = async (): Promise<number> => {
      const started = performance.now();
      await loaded().loras.set([{ path: paths.style, weight: 1 }]);
      return performance.now() - started;
    };
    expect(await best(1, again, 20)).toBeLessThan(1);
    await loaded().loras.set([]);
  });

  it('touches only what changes', async () => {
    await loaded().loras.set([{ path: paths.style }]);
    expect(await loaded().loras.set([{ path: paths.style }, { path: paths.text }])).toMatchObject({
      merged: 1,
      restored: 0,
      tensors: 10,
    });
    expect(await loaded().loras.set([{ path: paths.style, textEncoderWeight: 0 }])).toMatchObject({
      merged: 0,
      restored: 1,
    });
    expect(await loaded().loras.set([{ path: paths.style, blockWeights: { IN01: 0.5 } }])).toMatchObject({ merged: 3 });
    expect(await loaded().loras.set([{ path: paths.style, blockWeights: { IN01: 0 } }])).toMatchObject({
      merged: 0,
      restored: 3,
    });
    expect(await loaded().loras.set([])).toMatchObject({ restored: 6, tensors: 0 });
  });

  it('a file that was replaced is another LoRA', async () => {
    const path = writeLora(scratch.path('moving.safetensors'), style(5));
    await loaded().loras.set([{ path }]);
    const first = await loaded().weightsDigest();
    const { mtime, atime } = await stat(path);
    await utimes(path, atime, new Date(mtime.getTime() + 5000));
    expect(await loaded().loras.set([{ path }])).toMatchObject({ merged: 9 });
    await rename(writeLora(scratch.path('next.safetensors'), style(6)), path);
    await loaded().loras.set([{ path }]);
    expect(await loaded().weightsDigest()).not.toEqual(first);
    await loaded().loras.set([]);
  });

  it('refuses files for other models, with both architectures, and files that are none', async () => {
    const names = { lora_unet_double_blocks_0_img_attn_qkv: [12, 4] } as const;
    const flux = writeLora(scratch.path('flux.safetensors'), lowRank(names, { seed: 1 }));
    const error = await failure(loaded().loras.set([{ path: flux }]));
    expect(error.code).toBe('ERR_LORA_INCOMPATIBLE');
    expect(error.message).toContain('Flux');
    expect(error.message).toContain(loaded().info.architecture);
    const wrong = writeLora(
      scratch.path('wrong.safetensors'),
      lowRank({ lora_unet_input_blocks_1_1_proj_in: [7, 5] }, { seed: 1 }),
    );
    expect((await failure(loaded().loras.set([{ path: wrong }]))).code).toBe('ERR_LORA_INCOMPATIBLE');
    expect((await failure(loaded().loras.set([{ path: '/nowhere.safetensors' }]))).code).toBe('ERR_MODEL_NOT_FOUND');
    expect((await failure(loaded().loras.set([{ name: 'stile' }]))).message).toContain('style');
    expect((await failure(loaded().loras.set([{}]))).code).toBe('ERR_INVALID_OPTION');
    expect(loaded().loras.current).toEqual([]);
  });

  it('tells what it had no place for', async () => {
    const seedOf = seeded(1);
    const path = writeLora(scratch.path('part.safetensors'), {
      ...style(7),
      'unknown.lora_up.weight': seedOf([2, 2], 1),
    });
    const report = await loaded().loras.set([{ path }]);
    expect(report.files[0]).toMatchObject({ modules: 10, matched: 9, unmatchedKeys: ['unknown.lora_up.weight'] });
    expect(report.warnings[0]).toContain('unknown.lora_up.weight');
    await loaded().loras.set([]);
  });
});

describe('LoRAs of a request', () => {
  it('by tag and by option are the same; the model has its own again afterwards', async () => {
    const digest = await loaded().weightsDigest();
    const plain = await loaded().txt2img(request);
    const tagged = await loaded().txt2img({ ...request, prompt: `${request.prompt} <lora:style:0.5>` });
    const given = await loaded().txt2img({
      ...request,
      prompt: `${request.prompt} `,
      loras: [{ path: paths.style, weight: 0.5 }],
    });
    expect(hashes(tagged)).toEqual(hashes(given));
    expect(hashes(tagged)).not.toEqual(hashes(plain));
    expect(await loaded().weightsDigest()).toEqual(digest);
    const alias = await loaded().txt2img({ ...request, prompt: `${request.prompt} <lyco:My Style:te=0.5>` });
    expect(hashes(alias)).toEqual(hashes(tagged));
    expect(hashes(await loaded().txt2img(request))).toEqual(hashes(plain));
  });

  it('one of the text encoder encodes the prompt anew', async () => {
    const plain = await loaded().txt2img(request);
    const text = await loaded().txt2img({ ...request, loras: [{ path: paths.text }] });
    expect(hashes(text)).not.toEqual(hashes(plain));
    const without = await loaded().txt2img({ ...request, loras: [{ path: paths.text, textEncoderWeight: 0 }] });
    expect(hashes(without)).toEqual(hashes(plain));
  });

  it('captions have tags and hashes, and make the picture again', async () => {
    await loaded().loras.set([{ name: 'other', weight: 0.25 }]);
    const result = await loaded().txt2img(request);
    await loaded().loras.set([]);
    const { infotext } = only(result);
    const hash = loaded().loras.report;
    expect(hash.tensors).toBe(0);
    expect(parseInfotext(infotext).parameters['Lora hashes']).toMatch(/^other: [0-9a-f]{12}$/);
    expect(infotext).toContain('<lora:other:0.25>');
    const again = await loaded().txt2img({ ...infotextToRequest(infotext), schedule: request.schedule });
    expect(hashes(again)).toEqual(hashes(result));
  });

  it('queued sets are applied between jobs, in order', async () => {
    const base = await loaded().txt2img(request);
    const styled = await loaded().txt2img({ ...request, loras: [{ path: paths.style }] });
    const [before, , after, , last] = await Promise.all([
      loaded().txt2img(request),
      loaded().loras.set([{ path: paths.style }]),
      loaded().txt2img(request),
      loaded().loras.set([]),
      loaded().txt2img(request),
    ]);
    expect(hashes(before)).toEqual(hashes(base));
    expect(hashes(after).length).toBe(1);
    expect(only(after).data).toEqual(only(styled).data);
    expect(hashes(last)).toEqual(hashes(base));
  });
});

describe('at run time', () => {
  // Without guidance, which multiplies the engine's own rounding.
  const still = { ...request, cfgScale: 1 } as const;
  const style = (weight: number) => [{ path: paths.style, weight }, { path: paths.text }];
  const draw = async (loraMode: LoraMode, load: Pick<LoadModelOptions, 'weightType' | 'convolutionType'>) => {
    const own = await runtime?.loadModel({ loraMode, ...load });
    if (own === undefined) throw new Error('There is no runtime');
    try {
      const before = await own.weightsDigest();
      const plain = await own.txt2img(still);
      const report = await own.loras.set(style(0.5));
      const image = only(await own.txt2img(still));
      const during = await own.weightsDigest();
      await own.loras.set([]);
      expect(hashes(await own.txt2img(still))).toEqual(hashes(plain));
      expect(await own.weightsDigest()).toEqual(before);
      return { report, image, plain: only(plain), untouched: during.sha256 === before.sha256 };
    } finally {
      await own.dispose();
    }
  };

  // With convolutions of 16 bits any difference, however small, shows as noise: two merges whose weights differ by a
  // millionth are 57 dB apart.
  it('weights of 32 bits: the picture is the merged one', async () => {
    const types = { weightType: 'f32', convolutionType: 'f32' } as const;
    const merged = await draw('merge', types);
    const running = await draw('runtime', types);
    expect(merged.untouched).toBe(false);
    expect(running.untouched).toBe(true);
    expect(running.report).toMatchObject({ mode: 'runtime', tensors: 0 });
    expect(psnr(merged.image.data, running.image.data)).toBeGreaterThanOrEqual(60);
    expect(psnr(merged.image.data, merged.plain.data)).toBeLessThan(40);
  });

  it('auto takes it for quantised weights and says so; merging them restores exactly all the same', async () => {
    const auto = await draw('auto', { weightType: 'q8_0' });
    expect(auto.report).toMatchObject({ mode: 'runtime', reason: 'The weights are quantised.' });
    expect(auto.untouched).toBe(true);
    const merged = await draw('merge', { weightType: 'q8_0' });
    expect(merged.report).toMatchObject({ mode: 'merge' });
    expect(merged.untouched).toBe(false);
  });
});
