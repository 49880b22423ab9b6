import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  hiresSize,
  listUpscalers,
  modelRuns,
  resizePixels,
  resolveUpscaler,
  upscaleByModel,
  upscalePixels,
  upscalerOption,
} from '../../../lib/pipeline/hires/index.js';
import { resizeImageNearest } from '../../../lib/pipeline/tensors.js';

const fault = (field: string) => expect.objectContaining({ code: 'ERR_INVALID_OPTION', field });

describe('upscalers by name', () => {
  it('are listed, and found by name and by label', () => {
    const list = listUpscalers();
    expect(list.map(({ name }) => name)).toEqual([
      ...['latent', 'latent-antialiased', 'latent-bicubic', 'latent-bicubic-antialiased', 'latent-nearest'],
      ...['latent-nearest-exact', 'lanczos', 'bicubic', 'nearest'],
    ]);
    for (const { name, label, kind } of list) {
      for (const given of [name, label, label.toUpperCase(), name.replaceAll('-', '_'), ` ${name} `])
        expect(resolveUpscaler(given)).toMatchObject({ name, label, kind });
    }
  });

  it.each([
    ['Latent', { filter: 'bilinear', antialias: false }],
    ['Latent (antialiased)', { filter: 'bilinear', antialias: true }],
    ['Latent (bicubic)', { filter: 'bicubic', antialias: false }],
    ['Latent (bicubic antialiased)', { filter: 'bicubic', antialias: true }],
    ['Latent (nearest)', { filter: 'nearest', antialias: false }],
    ['Latent (nearest-exact)', { filter: 'nearest-exact', antialias: false }],
    ['Latent Bilinear antialias', { filter: 'bilinear', antialias: true }],
  ])('%s is the mode that A1111 has', (label, mode) => {
    expect(resolveUpscaler(label)).toMatchObject({ kind: 'latent', mode });
  });

  it('None is Lanczos, as in A1111', () => {
    expect(resolveUpscaler('None')).toBe(resolveUpscaler('lanczos'));
  });

  it.each<[unknown, RegExp]>([
    ['latent-nearst', /Did you mean "latent-nearest"\?/],
    ['Lanczso', /Did you mean "lanczos"\?/],
    ['bicubik', /Did you mean "bicubic"\?/],
    ['R-ESRGAN 4x+', /is a model: give its file/],
    ['R-ESRGAN 4x+ Anime6B', /is a model: give its file/],
    ['ESRGAN_4x', /is a model: give its file/],
    ['4x-UltraSharp', /is a model: give its file/],
    ['SwinIR_4x', /runs ESRGAN models only/],
    ['SwinIR 4x', /runs ESRGAN models only/],
    ['ScuNET PSNR', /runs ESRGAN models only/],
    ['LDSR', /runs ESRGAN models only/],
    ['DAT x2', /runs ESRGAN models only/],
    ['', /expected one of latent, /],
    [4, /expected one of latent, .*, or the path of an ESRGAN model/],
    [null, /expected one of latent, /],
  ])('refuses %j', (given, message) => {
    expect(() => resolveUpscaler(given)).toThrow(message);
    expect(() => upscalerOption().check(given, 'hires.upscaler')).toThrow(fault('hires.upscaler'));
  });
});

describe('upscalers by file', () => {
  const file = resolve('models', '4x-UltraSharp.pth');

  it('are an ESRGAN model with a tile size', () => {
    const wanted = { kind: 'model', name: '4x-UltraSharp', label: '4x-UltraSharp', file, tileSize: 128 };
    for (const given of [
      'models/4x-UltraSharp.pth',
      file,
      pathToFileURL(file),
      { file },
      { file: pathToFileURL(file) },
    ])
      expect(resolveUpscaler(given)).toEqual(wanted);
    expect(resolveUpscaler('4x-UltraSharp.pth')).toMatchObject({ file: resolve('4x-UltraSharp.pth') });
    expect(resolveUpscaler({ file, tileSize: 192 })).toEqual({ ...wanted, tileSize: 192 });
  });

  it.each<[unknown, string]>([
    [{ file, tileSize: 8 }, 'hires.upscaler.tileSize'],
    [{ file, tile: 192 }, 'hires.upscaler.tile'],
    [{ tileSize: 192 }, 'hires.upscaler.file'],
    ['https://example.com/4x.pth', 'hires.upscaler'],
    [new URL('https://example.com/4x.pth'), 'hires.upscaler.file'],
  ])('refuses %j', (given, field) => {
    expect(() => resolveUpscaler(given)).toThrow(fault(field));
  });
});

describe('pictures enlarged', () => {
  const facts = { sizeMultiple: 8, scaleFactor: 8 };
  const image = {
    ...{ width: 16, height: 24, channels: 3 },
    data: Uint8Array.from({ length: 16 * 24 * 3 }, (_, i) => (i * 37) % 256),
  };
  const whole = hiresSize(image, { scale: 2 }, facts);
  /** A model of some scale that repeats pixels. */
  const model = (scale: number) => {
    const seen: number[] = [];
    const enlarge = async (given: typeof image) => {
      seen.push(given.width);
      return resizeImageNearest(given, given.width * scale, given.height * scale) as typeof image;
    };
    return { seen, enlarge: enlarge as Parameters<typeof upscaleByModel>[2] };
  };

  it('by a filter, and cut', async () => {
    expect(await upscalePixels(image, whole, 'bicubic')).toEqual(await resizePixels(image, 32, 48, 'bicubic'));
    const square = hiresSize(image, { width: 32, height: 32 }, facts);
    expect(square).toMatchObject({ upscaledHeight: 48, cropY: 8 });
    const full = await resizePixels(image, 32, 48, 'nearest');
    const cut = await upscalePixels(image, square, 'nearest');
    expect(cut).toEqual({ ...full, height: 32, data: full.data.slice(8 * 32 * 3, 40 * 32 * 3) });
  });

  it.each([
    // scale of the model, of the request, widths that the model sees
    [2, 2, [16]],
    [4, 2, [16]],
    [2, 3, [16, 32]],
    [2, 8, [16, 32, 64]],
    [2, 10, [16, 32, 64]],
    [1, 2, [16]],
    [4, 1, []],
  ])('by a model of %i times to %d times: it sees %j', async (scale, wanted, widths) => {
    const size = hiresSize(image, { scale: wanted }, facts);
    const { seen, enlarge } = model(scale);
    const made = await upscaleByModel(image, size, enlarge);
    expect(seen).toEqual(widths);
    expect(modelRuns(image, size, scale).map(({ width }) => width)).toEqual(widths);
    const grown = scale ** widths.length;
    const repeated = resizeImageNearest(image, 16 * grown, 24 * grown);
    expect(made).toEqual(await resizePixels(repeated, 16 * wanted, 24 * wanted, 'lanczos'));
  });

  it('by a model not after an abort', async () => {
    const controller = new AbortController();
    const { seen, enlarge } = model(2);
    const work = upscaleByModel(
      image,
      hiresSize(image, { scale: 4 }, facts),
      async (given) => {
        controller.abort(new Error('enough'));
        return enlarge(given);
      },
      controller.signal,
    );
    await expect(work).rejects.toThrow('enough');
    expect(seen).toEqual([16]);
  });
});
