import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GeneratedImage, readImage, readInfotext, readMask } from '../../lib/image/index.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-diffusion-image-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const ascii = 'a red apple\nNegative prompt: blurry\nSteps: 4, Sampler: Euler a, CFG scale: 3, Seed: 1, Size: 40x24';
const infotexts = [ascii, ascii.replace('apple', 'épée ÿ'), ascii.replace('apple', '林檎 🍎')];

/** A smooth picture, so that lossy formats stay near it. */
function picture(infotext: string, width = 40, height = 24, channels: 1 | 3 = 3): GeneratedImage {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) data[i] = Math.floor((i / data.length) * 200) + (i % channels) * 20;
  return new GeneratedImage({
    pixels: { width, height, channels, data },
    seed: 1,
    parameters: { prompt: 'x' },
    infotext,
  });
}

/** Largest difference of two byte arrays of one length. */
function worst(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0);
}

describe('GeneratedImage', () => {
  it('keeps the memory it is given and freezes the rest', () => {
    const data = new Uint8Array(3);
    const parameters = { prompt: 'x' };
    const image = new GeneratedImage({
      pixels: { width: 1, height: 1, channels: 3, data },
      seed: 7,
      parameters,
      infotext: '',
    });
    parameters.prompt = 'y';
    expect(image.data).toBe(data);
    expect(image.parameters).toEqual({ prompt: 'x' });
    expect(image.seed).toBe(7);
    expect(() => Object.assign(image, { seed: 8 })).toThrowError(TypeError);
  });

  it('refuses pixels that do not have the size they claim', () => {
    const make = (width: number, channels: number) => () =>
      new GeneratedImage({
        pixels: { width, height: 1, channels, data: new Uint8Array(3) },
        seed: 1,
        parameters: {},
        infotext: '',
      });
    expect(make(2, 3)).toThrowError(expect.objectContaining({ code: 'ERR_IMAGE_INVALID', field: 'image.data' }));
    expect(make(1, 2)).toThrowError(expect.objectContaining({ field: 'image.channels' }));
    expect(make(0, 3)).toThrowError(expect.objectContaining({ field: 'image.width' }));
    expect(make(NaN, 3)).toThrowError(expect.objectContaining({ field: 'image.width' }));
  });

  it.each(infotexts)('carries infotext through PNG, WebP and JPEG: %j', async (infotext) => {
    const image = picture(infotext);
    for (const bytes of [
      await image.toPng(),
      await image.toWebp(),
      await image.toWebp({ lossless: true }),
      await image.toJpeg(),
    ]) {
      expect(await readInfotext(bytes)).toBe(infotext);
      const read = await readImage(bytes);
      expect([read.width, read.height]).toEqual([40, 24]);
      expect(worst(read.data, image.data)).toBeLessThan(24);
    }
  });

  it('keeps every pixel in PNG and lossless WebP, grey pictures too', async () => {
    const image = picture(ascii);
    expect((await readImage(await image.toPng({ compression: 0 }))).data).toEqual(image.data);
    expect((await readImage(await image.toWebp({ lossless: true }))).data).toEqual(image.data);
    const grey = picture('', 8, 8, 1);
    const png = await grey.toPng();
    expect((await sharp(png).metadata()).channels).toBe(1);
    expect((await readMask(png)).data).toEqual(grey.data);
  });

  it('writes a tEXt chunk when Latin-1 is enough and iTXt otherwise, after IHDR', async () => {
    const types = await Promise.all(
      infotexts.map(async (text) => (await picture(text).toPng()).toString('latin1', 37, 41)),
    );
    expect(types).toEqual(['tEXt', 'tEXt', 'iTXt']);
  });

  it('leaves infotext out on request', async () => {
    const image = picture(ascii);
    for (const bytes of [
      await image.toPng({ infotext: false }),
      await image.toWebp({ infotext: false }),
      await image.toJpeg({ infotext: false }),
    ]) {
      expect(await readInfotext(bytes)).toBeNull();
    }
    expect(await readInfotext(await picture('').toPng())).toBeNull();
  });

  it('makes the same bytes each time, and smaller ones with more compression or less quality', async () => {
    const image = picture(ascii, 64, 64);
    expect(await image.toPng()).toEqual(await image.toPng());
    expect((await image.toPng({ compression: 9 })).length).toBeLessThan((await image.toPng({ compression: 0 })).length);
    expect((await image.toJpeg({ quality: 10 })).length).toBeLessThan((await image.toJpeg({ quality: 100 })).length);
    expect((await image.toWebp({ quality: 10 })).length).toBeLessThan((await image.toWebp({ quality: 100 })).length);
  });

  it('refuses wrong options and infotext too long for a JPEG', async () => {
    const image = picture(ascii);
    await expect(image.toPng({ compression: 10 })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'compression',
    });
    await expect(image.toJpeg({ quality: NaN })).rejects.toMatchObject({ field: 'quality' });
    await expect(image.toWebp({ qualty: 3 } as object)).rejects.toThrowError(/Did you mean "quality"/);
    const units = 32_737;
    expect(await readInfotext(await picture('x'.repeat(units)).toJpeg())).toHaveLength(units);
    await expect(picture('x'.repeat(units + 1)).toJpeg()).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'infotext',
    });
    const long = 'x'.repeat(1_000_000);
    expect(await readInfotext(await picture(long).toWebp())).toBe(long);
  });

  it('rejects with the reason of an aborted signal', async () => {
    const image = picture(ascii);
    const early = new Error('early');
    await expect(image.toPng({ signal: AbortSignal.abort(early) })).rejects.toBe(early);
    const controller = new AbortController();
    const pending = image.toWebp({ signal: controller.signal });
    controller.abort('late');
    await expect(pending).rejects.toBe('late');
  });
});

describe('save', () => {
  it.each(['a.png', 'b.WEBP', 'c.jpg', 'd.jpeg'])('writes %s in the format of its name', async (name) => {
    const path = join(folder, name);
    expect(await picture(ascii).save(pathToFileURL(path))).toBe(path);
    const format = (await sharp(path).metadata()).format;
    expect(format).toBe({ png: 'png', webp: 'webp', jpg: 'jpeg', jpeg: 'jpeg' }[name.slice(2).toLowerCase()]);
    expect(await readInfotext(path)).toBe(ascii);
  });

  it('passes each format its options', async () => {
    const image = picture(ascii, 64, 64);
    const path = join(folder, 'quality.jpg');
    await image.save(path, { quality: 5, compression: 9, lossless: true });
    expect(await readFile(path)).toEqual(await image.toJpeg({ quality: 5 }));
    await expect(image.save(path, { qualty: 3 } as object)).rejects.toMatchObject({ field: 'qualty' });
  });

  it('refuses unknown extensions and missing folders, and makes no folder', async () => {
    const image = picture(ascii);
    await expect(image.save(join(folder, 'a.bmp'))).rejects.toThrowError(/\.png, \.webp, \.jpg, \.jpeg/);
    await expect(image.save(join(folder, 'png'))).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'path' });
    await expect(image.save(join(folder, 'no', 'a.png'))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'path',
      hint: expect.stringContaining('create it first') as string,
      cause: { code: 'ENOENT' },
    });
    expect(await readdir(folder)).not.toContain('no');
  });

  it('replaces a file whole and leaves no temporary files, also when it fails', async () => {
    const inner = await mkdtemp(join(folder, 'inner-'));
    const path = join(inner, 'a.png');
    await writeFile(path, 'old');
    const signal = AbortSignal.abort(new Error('stop'));
    await expect(picture(ascii).save(path, { signal })).rejects.toThrowError('stop');
    expect(await readFile(path, 'utf8')).toBe('old');
    await picture(ascii).save(path);
    expect((await sharp(path).metadata()).width).toBe(40);
    await expect(picture(ascii).save(join(inner, `${'x'.repeat(300)}.png`))).rejects.toMatchObject({ field: 'path' });
    expect(await readdir(inner)).toEqual(['a.png']);
  });
});
