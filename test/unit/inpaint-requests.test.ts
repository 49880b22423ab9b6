import { describe, expect, it } from 'vitest';
import type { RawImage } from '../../lib/image/index.js';
import { infotextToRequest } from '../../lib/image/index.js';
import type { NativeImage } from '../../lib/native/contract.js';
import { checkRequest } from '../../lib/pipeline/modes.js';
import { estimateRequest } from '../../lib/pipeline/estimate.js';
import { inside } from '../../lib/pipeline/inpaint/content.js';
import { maskingFields, resolveMasking } from '../../lib/pipeline/inpaint/settings.js';
import { runMode } from '../../lib/pipeline/modes.js';
import { fakeNoise } from '../support/fakeAddon.js';
import { fakeFacts, fakePipeline } from '../support/fakeModel.js';

function rgb(width: number, height: number, at: (x: number, y: number) => number = (x, y) => x + y): RawImage {
  const data = Uint8Array.from({ length: 3 * width * height }, (_, i) => {
    const pixel = Math.floor(i / 3);
    return at(pixel % width, Math.floor(pixel / width));
  });
  return { width, height, channels: 3, data };
}

/** White in a box, right and bottom outside. */
function box(width: number, height: number, left: number, top: number, right: number, bottom: number): RawImage {
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x >= left && x < right && y >= top && y < bottom ? 255 : 0;
  });
  return { width, height, channels: 1, data };
}

const cells = (image: NativeImage | null | undefined): number[] => [...(image?.data ?? [])];
const request = { prompt: '', steps: 1, image: rgb(64, 64), mask: box(64, 64, 0, 0, 32, 64) };

describe('settings', () => {
  it('paste back whenever something other than the default is asked for', () => {
    expect(resolveMasking({})).toMatchObject({ pasteBack: false, padding: 32, blur: { x: 0, y: 0 } });
    expect(resolveMasking({ maskedPadding: 5, maskInvert: false }).pasteBack).toBe(false);
    for (const given of [
      { maskBlur: 1 },
      { maskBlur: { x: 0, y: 1 } },
      { maskInvert: true },
      { maskedContent: 'fill' },
      { inpaintArea: 'only masked' },
    ] as const) {
      expect(resolveMasking(given).pasteBack).toBe(true);
      expect(resolveMasking({ ...given, pasteBack: false }).pasteBack).toBe(false);
    }
  });

  it.each([
    {},
    { maskBlur: 4 },
    { maskBlur: { x: 4, y: 0 }, pasteBack: false },
    { maskInvert: true, maskedContent: 'latent nothing' },
    { inpaintArea: 'only masked', maskedPadding: 0 },
    { pasteBack: true },
  ] as const)('%o come back from the fields of a caption', (given) => {
    const masking = resolveMasking(given);
    expect(resolveMasking(maskingFields(masking))).toEqual(masking);
  });

  it.each([
    [{ maskBlur: 65 }, 'maskBlur'],
    [{ maskBlur: { x: 1 } }, 'maskBlur.y'],
    [{ maskBlur: NaN }, 'maskBlur'],
    [{ maskedContent: 'noise' }, 'maskedContent'],
    [{ inpaintArea: 'part' }, 'inpaintArea'],
    [{ maskedPadding: -1 }, 'maskedPadding'],
    [{ maskInvert: 1 }, 'maskInvert'],
    [{ pasteBack: 'yes' }, 'pasteBack'],
    [{ resizeMode: 'cover' }, 'resizeMode'],
  ])('refuse %o', async (change, field) => {
    const { fake, model } = fakePipeline();
    await expect(runMode(model, 'inpaint', { ...request, ...change })).rejects.toMatchObject({
      code: 'ERR_INVALID_OPTION',
      field,
    });
    expect(fake.calls).toHaveLength(0);
  });

  it('without a mask are refused by name', () => {
    const { mask: _, ...img2img } = request;
    for (const field of ['maskBlur', 'maskInvert', 'maskedContent', 'inpaintArea', 'maskedPadding', 'pasteBack'])
      expect(() => checkRequest('img2img', { ...img2img, [field]: 1 }, fakeFacts())).toThrow(
        expect.objectContaining({ field, hint: expect.stringMatching(/inpaint/) }),
      );
    expect(() => checkRequest('txt2img', { prompt: '', resizeMode: 'crop' }, fakeFacts())).toThrow(/resizeMode/);
  });

  it('by the names of A1111 are told ours', () => {
    for (const [theirs, ours] of [
      ['mask_blur', 'maskBlur'],
      ['inpainting_fill', 'maskedContent'],
      ['inpaint_full_res', 'inpaintArea'],
      ['inpaint_full_res_padding', 'maskedPadding'],
      ['inpainting_mask_invert', 'maskInvert'],
      ['subseed', 'variationSeed'],
      ['subseed_strength', 'variationStrength'],
      ['resize_mode', 'resizeMode'],
    ] as const)
      expect(() => checkRequest('inpaint', { ...request, [theirs]: 1 }, fakeFacts())).toThrow(
        `Did you mean "${ours}"?`,
      );
  });
});

describe('what is encoded and sampled', () => {
  const run = async (change: object) => {
    const { fake, model } = fakePipeline();
    const { images } = await runMode(model, 'inpaint', { ...request, ...change });
    const [sampled] = fake.of('sample').map(({ params }) => params);
    return { fake, images, sampled, encoded: fake.of('encodeImages')[0]?.params.images[0]?.image };
  };

  it('is the picture itself by default, and the mask by cells', async () => {
    const { encoded, sampled, images } = await run({});
    expect(encoded).toEqual(request.image);
    expect([...(sampled?.mask?.data.subarray(0, 8) ?? [])]).toEqual([1, 1, 1, 1, 0, 0, 0, 0]);
    // The fake decodes to one colour everywhere: nothing was pasted.
    expect(new Set(images[0]?.data).size).toBe(1);
    expect(images[0]?.infotext).toContain('Mask blur: 0');
  });

  it('is the inverted mask', async () => {
    const { sampled, images } = await run({ maskInvert: true });
    expect([...(sampled?.mask?.data.subarray(0, 8) ?? [])]).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    expect(cells(images[0]).slice(0, 96)).toEqual(cells(request.image).slice(0, 96));
  });

  it('is filled inside the mask for every content but the original', async () => {
    for (const maskedContent of ['fill', 'latent noise', 'latent nothing'] as const) {
      const { encoded } = await run({ maskedContent });
      expect(cells(encoded).slice(96, 192)).toEqual(cells(request.image).slice(96, 192));
      expect(cells(encoded).slice(0, 96)).not.toEqual(cells(request.image).slice(0, 96));
    }
  });

  it('begins with noise of each seed, or with zeros, inside the mask', async () => {
    const { fake } = await run({ maskedContent: 'latent noise', seed: 3, batchSize: 2 });
    const latents = fake.of('sample').map(({ params }) => params.latent);
    for (const [index, latent] of latents.entries()) {
      const noise = fakeNoise(fakeFacts(), { seed: 3 + index, width: 8, height: 8 });
      // The fake encodes to ones.
      for (const [i, value] of latent.data.entries()) expect(value).toBe(i % 8 < 4 ? noise.data[i] : 1);
    }
    const { sampled } = await run({ maskedContent: 'latent nothing' });
    for (const [i, value] of (sampled?.latent.data ?? []).entries()) expect(value).toBe(i % 8 < 4 ? 0 : 1);
  });

  it('of only the masked area is its part, and the control picture’s', async () => {
    const { fake, model } = fakePipeline({ facts: { hasControlNet: true } });
    const image = rgb(100, 80);
    const control = rgb(100, 80, (x, y) => 2 * y + x);
    const mask = box(100, 80, 40, 30, 56, 38);
    const area = { inpaintArea: 'only masked', maskedPadding: 24, width: 64, height: 64 };
    const { images } = await runMode(model, 'inpaint', { ...request, ...area, image, mask, controlImage: control });
    // 16x8 with 24 around it is 64x56, then 64x64: columns 16..80, rows 2..66. No scaling is needed.
    const part = (whole: RawImage): number[] => {
      const values: number[] = [];
      for (let y = 2; y < 66; y++) values.push(...whole.data.subarray(3 * (y * 100 + 16), 3 * (y * 100 + 80)));
      return values;
    };
    expect(cells(fake.of('encodeImages')[0]?.params.images[0]?.image)).toEqual(part(image));
    expect(cells(fake.of('sample')[0]?.params.controlImage)).toEqual(part(control));
    expect(images[0]).toMatchObject({ width: 100, height: 80 });
    expect(images[0]?.parameters).toMatchObject({ width: 64, height: 64 });
    expect(images[0]?.infotext).toContain('Size: 64x64');
    expect(images[0]?.infotext).toContain('Inpaint area: Only masked, Masked area padding: 24');
  });

  it('reads back from the infotext to the parameters', async () => {
    const { images } = await run({
      maskBlur: { x: 1, y: 2 },
      maskedContent: 'fill',
      resizeMode: 'crop',
      pasteBack: false,
    });
    expect({ mode: 'inpaint', ...infotextToRequest(images[0]?.infotext ?? '') }).toEqual(images[0]?.parameters);
  });
});

describe('inside', () => {
  it('mixes by soft masks too', () => {
    const latent = { shape: [1, 1, 1, 3], data: Float32Array.from([8, 8, 8]) };
    const mask = { shape: [1, 1, 1, 3], data: Float32Array.from([0, 0.25, 1]) };
    expect([...inside(latent, mask, null).data]).toEqual([8, 6, 0]);
    expect([...inside(latent, mask, { ...latent, data: Float32Array.from([4, 4, 4]) }).data]).toEqual([8, 7, 4]);
  });
});

describe('memory', () => {
  it('is that of the size that is sampled, and of whole pictures that come of it', async () => {
    const { fake, model } = fakePipeline();
    const [width, height] = [256, 192];
    const large = { image: rgb(width, height), mask: box(width, height, 0, 0, 9, 9), width: 64, height: 64 };
    const area = { ...request, ...large, inpaintArea: 'only masked', batchSize: 3 };
    const part = await estimateRequest(model, { ...area, pasteBack: false });
    const whole = await estimateRequest(model, area);
    expect(fake.of('measure').every(({ params }) => params.width === 64 && params.height === 64)).toBe(true);
    const pixels = width * height;
    // The picture, its mask, and three results that are larger than what was painted.
    expect(whole.images - part.images).toBe(3 * pixels + pixels + 3 * 3 * (pixels - 64 * 64));
  });
});
