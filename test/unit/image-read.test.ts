import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DiffusionError } from '../../lib/errors/index.js';
import { GeneratedImage, readImage, readMask } from '../../lib/image/index.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'node-diffusion-read-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** 3 x 2 pixels, all different. */
const rgb = { width: 3, height: 2, channels: 3 as const, data: Uint8Array.from({ length: 18 }, (_, i) => i * 14) };
const png = () =>
  sharp(rgb.data, { raw: { width: 3, height: 2, channels: 3 } })
    .png()
    .toBuffer();
const pixel = (data: Uint8Array, channels: number, index = 0) => [
  ...data.subarray(index * channels, (index + 1) * channels),
];

describe('readImage', () => {
  it('reads paths, file URLs, buffers, array buffers, raw pixels and generated images alike', async () => {
    const bytes = await png();
    const path = join(folder, 'ä b#.png');
    await writeFile(path, bytes);
    const generated = new GeneratedImage({ pixels: rgb, seed: 1, parameters: {}, infotext: '' });
    const arrayBuffer = Uint8Array.from(bytes).buffer;
    for (const input of [path, pathToFileURL(path), bytes, new Uint8Array(bytes), arrayBuffer, rgb, generated]) {
      expect(await readImage(input)).toEqual(rgb);
    }
  });

  it('never shares memory with raw input', async () => {
    const data = Uint8Array.from(rgb.data);
    const image = await readImage({ ...rgb, data });
    data.fill(0);
    expect(image.data).toEqual(rgb.data);
    const clamped = await readImage({ ...rgb, data: Uint8ClampedArray.from(rgb.data) });
    expect(clamped.data).toEqual(rgb.data);
    expect(clamped.data.constructor).toBe(Uint8Array);
  });

  it('applies EXIF orientation', async () => {
    const turned = await sharp(await png())
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    const image = await readImage(turned);
    expect([image.width, image.height]).toEqual([2, 3]);
    // Orientation 6: the first row of what is seen is the first column of the file, from its foot.
    expect(pixel(image.data, 3, 0)).toEqual(pixel(rgb.data, 3, 3));
    expect(pixel(image.data, 3, 1)).toEqual(pixel(rgb.data, 3, 0));
  });

  it('flattens alpha on the background, white by default', async () => {
    const data = Uint8Array.from([255, 0, 0, 0, 255, 0, 0, 255]);
    const image = { width: 2, height: 1, channels: 4 as const, data };
    expect([...(await readImage(image)).data]).toEqual([255, 255, 255, 255, 0, 0]);
    expect([...(await readImage(image, { background: { r: 0, g: 0, b: 255 } })).data]).toEqual([0, 0, 255, 255, 0, 0]);
    const encoded = await sharp(data, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    expect([...(await readImage(encoded)).data]).toEqual([255, 255, 255, 255, 0, 0]);
  });

  it('makes three 8-bit sRGB channels of grey, palette, 16-bit and CMYK pictures', async () => {
    const grey = await sharp(Uint8Array.from([10, 200]), { raw: { width: 2, height: 1, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    expect([...(await readImage(grey)).data]).toEqual([10, 10, 10, 200, 200, 200]);
    const palette = await sharp(await png())
      .png({ palette: true, colours: 16 })
      .toBuffer();
    expect((await readImage(palette)).channels).toBe(3);
    const deep = await sharp(await png())
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe('ushort');
    expect((await readImage(deep)).data).toEqual(rgb.data);
    const cmyk = await sharp(await png())
      .resize(16, 16)
      .toColourspace('cmyk')
      .jpeg()
      .toBuffer();
    expect((await sharp(cmyk).metadata()).channels).toBe(4);
    expect((await readImage(cmyk)).data.length).toBe(16 * 16 * 3);
  });

  it('resizes: fill stretches, cover cuts, contain adds background', async () => {
    const data = new Uint8Array(8 * 4 * 3);
    for (let i = 0; i < 8 * 4; i++) data[3 * i + (i % 8 < 4 ? 0 : 2)] = 255; // left half red, right half blue
    const halves = { width: 8, height: 4, channels: 3 as const, data };
    const fill = await readImage(halves, { resize: { width: 4, height: 4, kernel: 'nearest' } });
    expect([fill.width, fill.height]).toEqual([4, 4]);
    expect(pixel(fill.data, 3, 0)).toEqual([255, 0, 0]);
    expect(pixel(fill.data, 3, 3)).toEqual([0, 0, 255]);
    const cover = await readImage(halves, { resize: { width: 4, height: 4, fit: 'cover' } });
    expect(pixel(cover.data, 3, 0)).toEqual([255, 0, 0]);
    const contain = await readImage(halves, { resize: { width: 8, height: 8, fit: 'contain' }, background: '#0f0' });
    expect(pixel(contain.data, 3, 0)).toEqual([0, 255, 0]);
    expect(pixel(contain.data, 3, 8 * 4)).toEqual([255, 0, 0]);
  });

  it('does not touch pixels that have the size already', async () => {
    expect((await readImage(rgb, { resize: { width: 3, height: 2 } })).data).toEqual(rgb.data);
  });
});

describe('readMask', () => {
  it('keeps grey values exactly, from one, three or four channels', async () => {
    const values = Uint8Array.from({ length: 256 }, (_, i) => i);
    const spread = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
    const grey = { width: 16, height: 16, channels: 1 as const, data: values };
    expect((await readMask(grey)).data).toEqual(values);
    expect((await readMask({ ...grey, channels: 3, data: spread })).data).toEqual(values);
    const encoded = await sharp(spread, { raw: { width: 16, height: 16, channels: 3 } })
      .png()
      .toBuffer();
    const mask = await readMask(encoded);
    expect(mask).toEqual({ width: 16, height: 16, channels: 1, data: values });
  });

  it('takes transparent for black and scales with nearest neighbour', async () => {
    const data = Uint8Array.from([255, 255, 255, 0, 255, 255, 255, 255]);
    const mask = await readMask({ width: 2, height: 1, channels: 4, data }, { resize: { width: 4, height: 2 } });
    expect([...mask.data]).toEqual([0, 0, 255, 255, 0, 0, 255, 255]);
  });
});

describe('pictures that are refused', () => {
  const refused = async (input: unknown, field = 'image') => {
    const error = await readImage(input as Uint8Array).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(DiffusionError);
    expect(error).toMatchObject({ code: 'ERR_IMAGE_INVALID', field });
    return error as DiffusionError;
  };

  it('a truncated JPEG and a truncated PNG', async () => {
    const noise = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251);
    const source = () => sharp(noise, { raw: { width: 64, height: 64, channels: 3 } });
    for (const bytes of [await source().jpeg().toBuffer(), await source().png().toBuffer()]) {
      const error = await refused(bytes.subarray(0, Math.floor(bytes.length / 2)));
      expect(error.cause).toBeInstanceOf(Error);
      await refused(bytes.subarray(0, 20));
    }
  });

  it('text, an empty file, and SVG', async () => {
    expect((await refused(Buffer.from('hello, this is no picture'))).cause).toBeInstanceOf(Error);
    await refused(new Uint8Array(0));
    const svg = Buffer.from(
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    );
    expect((await refused(svg)).hint).toContain('svg');
  });

  it('a picture 60,000 pixels wide, before its pixels are unpacked', async () => {
    const wide = await sharp({ create: { width: 60_000, height: 1, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    await refused(wide, 'image.width');
  });

  it('missing files, directories and remote URLs', async () => {
    const missing = await refused(join(folder, 'none.png'));
    expect(missing.cause).toMatchObject({ code: 'ENOENT' });
    expect(missing.message).toContain('There is no such file');
    await refused(folder);
    await expect(readImage(new URL('https://example.com/a.png'))).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field: 'image',
    });
  });

  it('values that are no picture at all', async () => {
    await expect(readImage(5 as unknown as string)).rejects.toMatchObject({ field: 'image' });
    await expect(readImage(null as unknown as string)).rejects.toBeInstanceOf(DiffusionError);
  });

  it('raw pixels whose size does not fit, naming the field', async () => {
    await refused({ ...rgb, width: 4 }, 'image.data');
    await refused({ ...rgb, width: 0 }, 'image.width');
    await refused({ ...rgb, height: 1.5 }, 'image.height');
    await refused({ ...rgb, height: 16_385 }, 'image.height');
    await refused({ ...rgb, channels: 2 }, 'image.channels');
    await refused({ ...rgb, data: [...rgb.data] }, 'image.data');
    await expect(readMask({ ...rgb, width: 9 }, { field: 'mask' })).rejects.toMatchObject({ field: 'mask.data' });
    await expect(readImage(rgb, { resize: { width: 0, height: 1 } })).rejects.toMatchObject({
      field: 'image.resize.width',
    });
  });

  it('rejects with the reason of an aborted signal', async () => {
    const reason = new Error('stop');
    await expect(readImage(rgb, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const pending = readImage(await png(), { signal: controller.signal });
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });
});
