import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { taesdSha256 } from '../../../lib/model/embedded/pins.js';
import { forgetFileSha256, rememberFileSha256 } from '../../../lib/model/identity.js';
import { relateSpaces } from '../../../lib/pipeline/hires/index.js';
import { type LatentSpace, spaceFamily, spaceSource } from '../../../lib/pipeline/space.js';

let folder = '';
const cacheBefore = process.env['NODE_DIFFUSION_CACHE'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-diffusion-spaces-'));
  process.env['NODE_DIFFUSION_CACHE'] = join(folder, 'cache');
});
afterAll(async () => {
  if (cacheBefore === undefined) delete process.env['NODE_DIFFUSION_CACHE'];
  else process.env['NODE_DIFFUSION_CACHE'] = cacheBefore;
  forgetFileSha256();
  await rm(folder, { recursive: true, force: true });
});

/** Channels and pixels per cell by architecture; `get_latent_channel`, `get_scale_factor` of the engine. */
const shapes: Readonly<Record<string, readonly [channels: number, scaleFactor: number]>> = {
  ...{ sd: [4, 8], sdxl: [4, 8], sd3: [16, 8], flux: [16, 8], wan: [16, 8] },
  ...{ flux2: [128, 16], 'wan2.2': [48, 16], pixels: [3, 1] },
};

let files = 0;
/** The space of a model of this architecture, with an autoencoder of its own bytes in a file with some name. */
async function space(architecture: string, tiny = false, bytes = `weights ${++files}`): Promise<LatentSpace> {
  const path = join(folder, `vae-${++files}.safetensors`);
  await writeFile(path, bytes);
  const family = spaceFamily(architecture);
  const [channels = 0, scaleFactor = 0] = shapes[family] ?? [];
  return { family: tiny ? `${family}-taesd` : family, channels, scaleFactor, source: await spaceSource(path) };
}

describe('latents of another model', () => {
  it.each([
    ['SD 1.x', 'SD 2.x'],
    ['SD 1.x', 'SD 1.x Inpaint'],
    ['SDXS (512-DS)', 'Instruct-Pix2Pix'],
    ['SDXL', 'SDXL (Vega)'],
    ['Flux', 'Z-Image'],
    ['Flux Fill', 'Ovis Image'],
    ['Flux.2 klein', 'Ernie Image'],
    ['Wan 2.2 I2V', 'Qwen Image'],
    ['Qwen Image', 'Anima'],
  ])('can be used between %s and %s', async (a, b) => {
    for (const [first, second] of [
      [await space(a), await space(b)],
      [await space(a, true), await space(b)],
      [await space(a, true), await space(b, true)],
    ] as const) {
      expect(await relateSpaces(first, second)).toBe('compatible');
      expect(await relateSpaces(second, first)).toBe('compatible');
    }
  });

  it.each([
    ['SD 1.x', 'SDXL'],
    ['SDXL', 'SD3.x'],
    ['SD3.x', 'Flux'],
    ['Flux', 'Qwen Image'],
    ['Flux', 'Flux.2'],
    ['Wan 2.x', 'Wan 2.2 TI2V'],
    ['Flux', 'Chroma Radiance'],
  ])('mean nothing between %s and %s', async (a, b) => {
    for (const tiny of [false, true]) {
      expect(await relateSpaces(await space(a, tiny), await space(b))).toBe('different');
      expect(await relateSpaces(await space(b), await space(a, tiny))).toBe('different');
    }
    // Not by the same file either: another family reads its numbers in another way.
    const [one, other] = [await space(a, false, 'one file'), await space(b, false, 'one file')];
    expect(await relateSpaces(one, other)).toBe('different');
  });

  it('are the same with the same bytes, whatever the files are called', async () => {
    const [one, copy] = [await space('SD 1.x', false, 'equal'), await space('SD 2.x', false, 'equal')];
    expect(await relateSpaces(one, copy)).toBe('same');
    expect(await relateSpaces(one, one)).toBe('same');
  });

  it('of families that nothing is known of go by identity alone', async () => {
    const unknown = { ...(await space('SD 1.x', false, 'strange')), family: 'strange' };
    const copy = { ...(await space('SD 1.x', false, 'strange')), family: 'strange' };
    const other = { ...(await space('SD 1.x')), family: 'strange' };
    expect(await relateSpaces(unknown, copy)).toBe('same');
    expect(await relateSpaces(unknown, other)).toBe('different');
  });

  it('of an unusual shape are no ones of their family', async () => {
    const [one, other] = [await space('SD 1.x'), await space('SD 1.x')];
    const odd = (given: LatentSpace) => ({ ...given, channels: 16 });
    expect(await relateSpaces(one, odd(other))).toBe('different');
    expect(await relateSpaces(odd(one), odd(other))).toBe('different');
  });

  it('of the embedded model are its own, for its autoencoder is none of SD', async () => {
    const [nano, copy] = [await space('SD 1.x', true, 'nano'), await space('SD 1.x', true, 'nano')];
    for (const { source } of [nano, copy]) await rememberFileSha256(source.path, taesdSha256);
    expect(await relateSpaces(nano, copy)).toBe('same');
    expect(await relateSpaces(nano, await space('SD 1.x'))).toBe('different');
    expect(await relateSpaces(await space('SD 1.x', true), nano)).toBe('different');
  });
});
