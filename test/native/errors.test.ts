import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type ErrorCode } from '../../lib/index.js';
import {
  writeLora,
  writeTensors,
  writeTextFile,
  writeTruncated,
  writeWrongShapes,
} from '../support/synthetic/index.js';
import { failure, hashes, tiny as small, useModel } from '../support/native.js';

const fixture = useModel();
const tiny = { ...small, steps: 1 };
let expected: string[];
let directory: string;
const at = (name: string): string => join(directory, name);
const embedded = (): { checkpoint: string; taesd: string } => {
  const { checkpoint = '', taesd = '' } = fixture.model.info.files;
  return { checkpoint, taesd };
};

beforeAll(async () => {
  expected = hashes(await fixture.model.txt2img(tiny));
  directory = await mkdtemp(join(tmpdir(), 'node-diffusion-'));
  await writeTextFile(at('page.safetensors'));
  await writeLora(at('lora.safetensors'), { seed: 1 });
  await writeWrongShapes('sd1', at('shapes.safetensors'));
  await writeTruncated(
    at('shapes.safetensors'),
    at('short.safetensors'),
    (await stat(at('shapes.safetensors'))).size - 9,
  );
  await writeTruncated(embedded().taesd, at('taesd.safetensors'), 1_000_000);
});
afterAll(() => rm(directory, { recursive: true }));

/** Whatever failed, the model that was loaded before works as before, and nothing is left behind. */
afterEach(async () => {
  expect(hashes(await fixture.model.txt2img(tiny))).toEqual(expected);
  expect(fixture.runtime.models).toEqual([fixture.model]);
});

describe('files that cannot be loaded', () => {
  it.each([
    ['nothing.safetensors', 'ERR_MODEL_NOT_FOUND'],
    ['', 'ERR_MODEL_CORRUPT'],
    ['page.safetensors', 'ERR_MODEL_UNSUPPORTED'],
    ['lora.safetensors', 'ERR_MODEL_UNSUPPORTED'],
    ['short.safetensors', 'ERR_MODEL_CORRUPT'],
    ['shapes.safetensors', 'ERR_MODEL_CORRUPT'],
  ] as const satisfies readonly (readonly [string, ErrorCode])[])('checkpoint %j: %s', async (name, code) => {
    const error = await failure(fixture.runtime.loadModel({ checkpoint: at(name) }));
    expect(error.code).toBe(code);
    expect(error.message.length).toBeGreaterThan(20);
    const again = await failure(fixture.runtime.loadModel({ checkpoint: pathToFileURL(at(name)), mmap: true }));
    expect(again.code).toBe(code);
  });

  // The engine would end the process over these while it builds the network.
  it.each([
    ['SVD', 'video model', { 'input_blocks.8.0.time_mixer.mix_factor': [1] }],
    ['a Wan of one block', '30 or 40 blocks, this one has 1', { 'blocks.0.cross_attn.norm_k.weight': [8] }],
    ['a FLUX without heads', 'heads of 0', { 'txt_in.weight': [256, 64], 'double_blocks.0.img_attn.qkv.bias': [8] }],
    [
      'a FLUX of half a head',
      'is 64 wide',
      { 'txt_in.weight': [64, 64], 'double_blocks.0.txt_attn.norm.key_norm.scale': [128] },
    ],
  ] as const)('%s: the message says "%s"', async (_, says, shapes) => {
    const tensors = Object.entries(shapes).map(([name, shape]) => ({
      name: `model.diffusion_model.${name}`,
      shape,
      values: { constant: 0 } as const,
    }));
    await writeTensors(at('refused.safetensors'), tensors, 1);
    const error = await failure(fixture.runtime.loadModel({ checkpoint: at('refused.safetensors') }));
    expect(error.code).toBe('ERR_MODEL_UNSUPPORTED');
    expect(error.message).toContain(says);
  });

  it('names what is wrong', async () => {
    const message = async (name: string): Promise<string> =>
      (await failure(fixture.runtime.loadModel({ checkpoint: at(name) }))).message;
    expect(await message('nothing.safetensors')).toContain('nothing.safetensors');
    expect(await message('lora.safetensors')).toContain('LoRA');
    expect(await message('shapes.safetensors')).toMatch(/shape \[/);
  });

  it('a companion: the option is named', async () => {
    const { checkpoint } = embedded();
    const broken = await failure(fixture.runtime.loadModel({ checkpoint, taesd: at('taesd.safetensors') }));
    expect(broken).toMatchObject({ code: 'ERR_MODEL_CORRUPT', field: 'taesd' });
    const missing = await failure(fixture.runtime.loadModel({ checkpoint, vae: at('vae.gguf') }));
    expect(missing).toMatchObject({ code: 'ERR_MODEL_NOT_FOUND', field: 'vae' });
  });

  it('a checkpoint without its VAE: says so', async () => {
    const error = await failure(fixture.runtime.loadModel({ checkpoint: embedded().checkpoint }));
    expect(error.code).toBe('ERR_MODEL_UNSUPPORTED');
    expect(error.message).toContain('no VAE');
  });

  it('a TAESD as a checkpoint', async () => {
    const error = await failure(fixture.runtime.loadModel({ checkpoint: embedded().taesd }));
    expect(error.code).toBe('ERR_MODEL_UNSUPPORTED');
  });

  it('a checkpoint as TAESD', async () => {
    const { checkpoint } = embedded();
    const error = await failure(fixture.runtime.loadModel({ checkpoint, taesd: checkpoint }));
    expect(['ERR_MODEL_UNSUPPORTED', 'ERR_MODEL_CORRUPT']).toContain(error.code);
  });

  it('rules that name no type the engine has', async () => {
    const rules = { 'attn.*': 'q9_9' } as never;
    const error = await failure(fixture.runtime.loadModel({ tensorTypeRules: rules }));
    expect(error.code).toBe('ERR_INVALID_OPTION');
  });
});

describe('requests that cannot be drawn', () => {
  it.each([
    ['width', { width: 65 }],
    ['width', { width: 0 }],
    ['height', { height: 1 << 20 }],
    ['steps', { steps: 0 }],
    ['cfgScale', { cfgScale: NaN }],
    ['sampler', { sampler: 'eular' }],
    ['schedule', { schedule: 'carras' }],
    ['seed', { seed: 1.5 }],
    ['batchSize', { batchSize: 0 }],
    ['sigmas', { sigmas: [1, 2, 0] }],
    ['controlImage', { controlImage: 'x.png' }],
    ['prompts', { prompts: ['x'] }],
  ] as const)('%s %j', async (field, wrong) => {
    const error = await failure(fixture.model.txt2img({ ...tiny, ...wrong } as never));
    expect(['ERR_INVALID_OPTION', 'ERR_INVALID_PROMPT']).toContain(error.code);
    expect(error.field?.replace(/[[.].*/, '')).toBe(field);
    expect(error.message).toContain(field);
    expect(fixture.model.queue.length).toBe(0);
  });

  it('a misspelt option suggests the right one', async () => {
    const error = await failure(fixture.model.txt2img({ ...tiny, cfg_scale: 3 } as never));
    expect(error.message).toContain('cfgScale');
  });

  it('a start picture that is not there', async () => {
    const error = await failure(fixture.model.img2img({ ...tiny, image: at('none.png') }));
    expect(error.code).toBe('ERR_IMAGE_INVALID');
  });
});
