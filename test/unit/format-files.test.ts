import { mkdir, symlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkModelFiles, modelFilePaths, type ModelFileOptions } from '../../lib/model/files.js';
import { readHeader } from '../../lib/model/format/index.js';
import type { NativeModelFiles } from '../../lib/native/index.js';
import { failure, safetensors, safetensorsOf, u64, Workshop } from '../support/formatFixtures.js';

const shop = new Workshop();
let good = '';
beforeAll(async () => {
  await shop.open();
  good = await shop.file(
    safetensorsOf({ 'model.diffusion_model.input_blocks.0.0.weight': [4, 4] }),
    'sd-v1-5.safetensors',
  );
});
afterAll(() => shop.close());

describe('a path that leads to no model', () => {
  it('names the field and the absolute path, and suggests similar names', async () => {
    for (const name of ['sd-v1.5.safetensors', 'SD-V1-5.safetensors', 'sd-v1-5.ckpt', 'sd-v1-5']) {
      const path = join(shop.directory, name);
      await failure(readHeader(path, { field: 'vae' }), 'ERR_MODEL_NOT_FOUND', '"vae"', path, `Did you mean ${good}`);
    }
    const error = await failure(readHeader(join(shop.directory, 'nothing-alike')), 'ERR_MODEL_NOT_FOUND', '"path"');
    expect(error.message).not.toContain('Did you mean');
    expect(error.cause).toHaveProperty('code', 'ENOENT');
  });

  it('makes a relative path absolute and tells of a missing directory', async () => {
    const path = relative(process.cwd(), join(shop.directory, 'no', 'such.gguf'));
    await failure(
      readHeader(path),
      'ERR_MODEL_NOT_FOUND',
      join(shop.directory, 'no', 'such.gguf'),
      `directory ${join(shop.directory, 'no')} does not exist`,
    );
    await failure(readHeader(join(good, 'inside')), 'ERR_MODEL_NOT_FOUND');
    await failure(readHeader('~/model.gguf'), 'ERR_MODEL_NOT_FOUND', '~');
  });

  it('refuses a directory, an empty file, a loop of links and a path that is none', async () => {
    await failure(readHeader(shop.directory), 'ERR_MODEL_CORRUPT', 'is a directory');
    await failure(readHeader(await shop.file('')), 'ERR_MODEL_CORRUPT', '0 bytes');
    const loop = join(shop.directory, 'loop');
    await symlink(loop, loop);
    await failure(readHeader(loop), 'ERR_MODEL_NOT_FOUND', 'ELOOP');
    for (const path of ['', 'a\0b', 7 as unknown as string])
      await failure(readHeader(path), 'ERR_INVALID_OPTION', '"path"');
  });

  it.skipIf(process.platform === 'win32')('does not wait for a device', async () => {
    await failure(readHeader('/dev/zero'), 'ERR_MODEL_CORRUPT', 'a device');
  });
});

describe('a file of another kind', () => {
  const png = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(40, 3)]);
  it.each([
    ['a text', 'Some notes about a model.\n'.repeat(3), 'a text file'],
    ['a JSON config', '{"architectures": ["CLIPTextModel"]}', 'JSON text'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n', 'Git LFS pointer'],
    ['an HTML page', '<!DOCTYPE html><html><body>Sign in</body></html>', 'HTML page'],
    ['a PNG', png, 'a PNG image'],
    ['a gzip archive', Buffer.from('1f8b0800000000000003', 'hex'), 'gzip'],
    ['an executable', Buffer.concat([Buffer.from('7f454c46', 'hex'), Buffer.alloc(60)]), 'executable'],
    ['an old GGML file', Buffer.concat([Buffer.from('tjgg'), Buffer.alloc(60)]), 'before GGUF'],
  ])('says that %s is not supported', async (_, bytes, text) => {
    await failure(readHeader(await shop.file(bytes, 'renamed.safetensors')), 'ERR_MODEL_UNSUPPORTED', text);
  });

  it('says that garbage and zeros are corrupt', async () => {
    const garbage = Buffer.from(Array.from({ length: 600 }, (_, index) => (index * 197 + 0xe1) & 0xff));
    await failure(readHeader(await shop.file(garbage)), 'ERR_MODEL_CORRUPT', 'no known model format', 'at byte 0');
    await failure(readHeader(await shop.file(Buffer.alloc(5000))), 'ERR_MODEL_CORRUPT', 'begins with zeros');
  });

  it('does not take the length of a safetensors header for a signature', async () => {
    // 0x8b1f is gzip's, 0x5a4d an executable's, 0x0280 a pickle's.
    for (const length of [0x8b1f, 0x5a4d, 0x0280]) {
      const text = JSON.stringify({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1] } }).padEnd(length, ' ');
      const bytes = safetensors(text, 1);
      expect(bytes.subarray(0, 8)).toEqual(u64(length));
      await expect(readHeader(await shop.file(bytes))).resolves.toHaveProperty('format', 'safetensors');
    }
  });
});

async function resolveModelFiles(options: ModelFileOptions, signal?: AbortSignal): Promise<NativeModelFiles> {
  const paths = modelFilePaths(options);
  await checkModelFiles(paths, signal);
  return paths;
}

describe('the files of a model', () => {
  it('gives absolute paths of strings and file: URL objects, and leaves other options alone', async () => {
    const vae = await shop.file(safetensorsOf({ 'decoder.conv_in.weight': [4, 4] }), 'vae.safetensors');
    const options = { checkpoint: relative(process.cwd(), good), vae: pathToFileURL(vae), taesd: undefined, prompt: 7 };
    await expect(resolveModelFiles(options)).resolves.toEqual({ checkpoint: good, vae });
  });

  it('names the field of the first bad file', async () => {
    const missing = join(shop.directory, 'clip.gguf');
    await failure(resolveModelFiles({ checkpoint: good, clipL: missing }), 'ERR_MODEL_NOT_FOUND', '"clipL"', missing);
    const text = await shop.file('not a model, only a text');
    await failure(resolveModelFiles({ diffusionModel: good, t5xxl: text }), 'ERR_MODEL_UNSUPPORTED', '"t5xxl"');
    const cut = await shop.file(safetensorsOf({ a: [9] }).subarray(0, 70));
    expect(await failure(resolveModelFiles({ checkpoint: cut }), 'ERR_MODEL_CORRUPT', '"checkpoint"')).toHaveProperty(
      'field',
      'checkpoint',
    );
  });

  it.each([
    ['a number', 7],
    ['an empty text', ''],
    ['a text with NUL', 'a\0'],
    ['a URL of the web', new URL('https://example.org/model.safetensors')],
    ['a file: URL as text', 'file:///model.safetensors'],
    ['null', null],
  ])('refuses %s as a path', async (_, value) => {
    await failure(resolveModelFiles({ checkpoint: good, vae: value as string }), 'ERR_INVALID_OPTION', '"vae"');
  });

  it('wants a checkpoint or a diffusion model', async () => {
    await failure(resolveModelFiles({ vae: good }), 'ERR_INVALID_OPTION', '"checkpoint"', 'diffusionModel');
  });

  it('refuses what the engine does not read, and what is no model', async () => {
    const integers = await shop.file(safetensors({ a: { dtype: 'I8', shape: [4], data_offsets: [0, 4] } }, 4));
    await failure(resolveModelFiles({ checkpoint: integers }), 'ERR_MODEL_UNSUPPORTED', '"checkpoint"', 'dtype I8');
    const deep = await shop.file(safetensorsOf({ a: [1, 1, 1, 1, 1, 1] }));
    await failure(resolveModelFiles({ checkpoint: deep }), 'ERR_MODEL_UNSUPPORTED', '6 dimensions');
    await failure(
      resolveModelFiles({ checkpoint: await shop.file(safetensors('{}', 0)) }),
      'ERR_MODEL_CORRUPT',
      'no tensors',
    );
    const lora = await shop.file(safetensorsOf({ 'lora_unet_mid_block.lora_down.weight': [4, 4] }));
    await failure(resolveModelFiles({ checkpoint: lora }), 'ERR_MODEL_UNSUPPORTED', '"checkpoint"', 'a LoRA');
  });

  it('takes a diffusers directory as a checkpoint, and only there', async () => {
    const directory = join(shop.directory, 'diffusers');
    const put = async (file: string, bytes: Uint8Array | string) => {
      await mkdir(dirname(join(directory, file)), { recursive: true });
      await shop.file(bytes, join('diffusers', file));
    };
    await put('model_index.json', '{}');
    await failure(
      resolveModelFiles({ checkpoint: directory }),
      'ERR_MODEL_UNSUPPORTED',
      'diffusers directory without unet/',
    );
    await put('unet/diffusion_pytorch_model.safetensors', safetensorsOf({ 'conv_in.weight': [4, 4] }));
    await put('vae/diffusion_pytorch_model.safetensors', safetensorsOf({ 'decoder.conv_in.weight': [4, 4] }));
    await expect(resolveModelFiles({ checkpoint: directory })).resolves.toEqual({ checkpoint: directory });
    await failure(resolveModelFiles({ checkpoint: good, vae: directory }), 'ERR_INVALID_OPTION', '"vae"');
    await put('text_encoder/model.safetensors', 'a text that is no model');
    await failure(
      resolveModelFiles({ checkpoint: directory }),
      'ERR_MODEL_UNSUPPORTED',
      '"checkpoint"',
      join('text_encoder', 'model.safetensors'),
    );
    await failure(resolveModelFiles({ checkpoint: shop.directory }), 'ERR_MODEL_CORRUPT', 'is a directory');
  });

  it('rejects with the reason of an aborted signal', async () => {
    const reason = new Error('stop');
    await expect(resolveModelFiles({ checkpoint: good }, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
