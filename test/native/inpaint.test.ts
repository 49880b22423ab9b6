import { describe, expect, it } from 'vitest';
import { type InpaintRequest, infotextToMode, infotextToRequest, type RawImage } from '../../lib/index.js';
import {
  edge,
  expectPicture,
  failure,
  hashes,
  meanDiff,
  only,
  paint,
  sha256,
  tiny,
  useModel,
} from '../support/native.js';

const fixture = useModel();

const picture = paint((x, y) => [230 - 2 * x, 40 + x, 20 + 3 * y]);

/** White between the edges, right and bottom outside. */
function box(left: number, top: number, right: number, bottom: number, width = edge, height = edge): RawImage {
  const inside = (i: number): boolean => {
    const [x, y] = [i % width, Math.floor(i / width)];
    return x >= left && x < right && y >= top && y < bottom;
  };
  return {
    width,
    height,
    channels: 1,
    data: Uint8Array.from({ length: width * height }, (_, i) => (inside(i) ? 255 : 0)),
  };
}

const mask = box(16, 16, 48, 40);
const request = { ...tiny, steps: 1, image: picture, mask, denoisingStrength: 1 } satisfies InpaintRequest;

async function painted(change: Partial<InpaintRequest>) {
  return only(await fixture.model.inpaint({ ...request, ...change }));
}

/** Pixels that differ, as a box [left, top, right, bottom]. */
function changes(a: RawImage, b: RawImage): readonly [number, number, number, number] {
  let [left, top, right, bottom] = [a.width, a.height, 0, 0];
  for (const [i, value] of a.data.entries()) {
    if (value === b.data[i]) continue;
    const [x, y] = [Math.floor(i / 3) % a.width, Math.floor(i / 3 / a.width)];
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x + 1), Math.max(bottom, y + 1)];
  }
  return [left, top, right, bottom];
}

/** Mean difference of two pictures inside the mask. */
function insideDiff(a: RawImage, b: RawImage): number {
  let [sum, count] = [0, 0];
  for (const [i, value] of a.data.entries()) {
    if (mask.data[Math.floor(i / 3)] === 0) continue;
    sum += Math.abs(value - (b.data[i] ?? NaN));
    count++;
  }
  return sum / count;
}

describe('pasting back', () => {
  it('is off by default, and then the inside is the same to the byte', async () => {
    const plain = await painted({});
    const pasted = await painted({ pasteBack: true });
    expect(hashes({ images: [await painted({ maskBlur: 0, maskInvert: false, pasteBack: false })] })).toEqual(
      hashes({ images: [plain] }),
    );
    // The autoencoder alone changes pixels outside.
    expect(changes(plain, picture)).toEqual([0, 0, edge, edge]);
    expect(changes(pasted, picture)).toEqual([16, 16, 48, 40]);
    for (const [i, value] of pasted.data.entries())
      if (mask.data[Math.floor(i / 3)] === 255) expect(value).toBe(plain.data[i]);
  });

  it('goes as far as the blur does, and no byte further', async () => {
    // No network paints a chessboard of pixels: whatever it paints, the blur's faintest ring shows.
    const board = paint((x, y) => ((x + y) % 2 === 0 ? [0, 0, 0] : [255, 255, 255]));
    const image = await painted({ image: board, maskBlur: 2 });
    // 2 * floor(2.5 * 2 + 0.5) + 1 taps reach 5 pixels.
    expect(changes(image, board)).toEqual([11, 11, 53, 45]);
    const wide = await painted({ image: board, maskBlur: { x: 2, y: 0 } });
    expect(changes(wide, board)).toEqual([11, 16, 53, 40]);
    expect(image.parameters).toMatchObject({ maskBlur: 2 });
  });
});

describe('mask inversion', () => {
  it('is the inverted mask', async () => {
    const turned = { ...mask, data: mask.data.map((value) => 255 - value) };
    const inverted = await painted({ maskInvert: true });
    expect(hashes({ images: [inverted] })).toEqual(
      hashes({ images: [await painted({ mask: turned, pasteBack: true })] }),
    );
    for (const [i, value] of inverted.data.entries())
      if (mask.data[Math.floor(i / 3)] === 255) expect(value).toBe(picture.data[i]);
  });
});

describe('masked content', () => {
  const kinds = ['original', 'fill', 'latent noise', 'latent nothing'] as const;

  it('every kind begins with something else, and keeps what is outside', async () => {
    const seen = new Set<string>();
    for (const maskedContent of kinds) {
      const image = await painted({ maskedContent, denoisingStrength: 0.5, pasteBack: true });
      expectPicture(image);
      seen.add(sha256(image.data));
      const [left, top, right, bottom] = changes(image, picture);
      expect([left >= 16, top >= 16, right <= 48, bottom <= 40], maskedContent).toEqual([true, true, true, true]);
    }
    expect(seen.size).toBe(kinds.length);
  });

  it('without denoising shows what it began with: the picture, or colours of what is around', async () => {
    // A black square on a plain ground: filled, it is gone.
    const spotted = paint((x, y) => (x >= 16 && x < 48 && y >= 16 && y < 40 ? [0, 0, 0] : [200, 160, 120]));
    const ground = paint(() => [200, 160, 120]);
    // One step of eight, from the lowest noise level.
    const start = { image: spotted, denoisingStrength: 0, steps: 8 };
    const kept = await painted({ ...start, pasteBack: true });
    const filled = await painted({ ...start, maskedContent: 'fill' });
    expect(insideDiff(kept, spotted)).toBeLessThan(insideDiff(kept, ground) / 4);
    expect(insideDiff(filled, ground)).toBeLessThan(insideDiff(filled, spotted) / 4);
  });

  it("'latent noise' is the noise of each picture's own seed", async () => {
    const noisy = { maskedContent: 'latent noise', denoisingStrength: 0.5 } as const;
    const batch = await fixture.model.inpaint({ ...request, ...noisy, seed: 3, batchSize: 2 });
    expect(hashes(batch)).toEqual(
      hashes({ images: [await painted({ ...noisy, seed: 3 }), await painted({ ...noisy, seed: 4 })] }),
    );
  });
});

describe('only the masked area', () => {
  const large = paint((x, y) => [x, y, 255 - x], 160);
  const spot = box(72, 80, 88, 92, 160, 160);
  const area = { image: large, mask: spot, inpaintArea: 'only masked' } as const;

  it('gives the whole picture back, changed inside the mask alone', async () => {
    const image = await painted({ ...area, maskedPadding: 8 });
    expectPicture(image, 160, 160);
    expect(changes(image, large)).toEqual([72, 80, 88, 92]);
    expect(image.parameters).toMatchObject({ width: edge, height: edge, inpaintArea: 'only masked', maskedPadding: 8 });
  });

  it('paints the part with its padding: the same as that part painted alone', async () => {
    // 16x12 with 8 around it is 32x28, and square 32x32: the rows 70..102.
    const part = paint((x, y) => [x + 64, y + 70, 255 - x - 64], 32);
    const partMask = box(8, 10, 24, 22, 32, 32);
    const alone = await painted({ ...area, maskedPadding: 8, pasteBack: false });
    expect([alone.width, alone.height]).toEqual([edge, edge]);
    expect(hashes({ images: [alone] })).toEqual(hashes({ images: [await painted({ image: part, mask: partMask })] }));
    const wider = await painted({ ...area, maskedPadding: 24, pasteBack: false });
    expect(hashes({ images: [wider] })).not.toEqual(hashes({ images: [alone] }));
  });

  it('paints at the default size of the model unless told otherwise', async () => {
    const { width: _, height: __, ...free } = request;
    const image = only(await fixture.model.inpaint({ ...free, ...area, steps: 1 }));
    expect(image.parameters).toMatchObject({ width: 128, height: 128 });
    expectPicture(image, 160, 160);
  });

  it('refuses a mask with nothing white, and one that the blur takes away', async () => {
    const blank = box(0, 0, 0, 0);
    const none = await failure(fixture.model.inpaint({ ...request, mask: blank, inpaintArea: 'only masked' }));
    expect(none).toMatchObject({ code: 'ERR_INVALID_OPTION', field: 'mask' });
    expect(none.message).toMatch(/without a white pixel.*maskInvert/s);
    const faint = { mask: box(30, 30, 32, 32), maskBlur: 16, inpaintArea: 'only masked' } as const;
    const gone = await failure(fixture.model.inpaint({ ...request, ...faint }));
    expect(gone.message).toMatch(/blur takes away.*maskBlur/s);
    expect(fixture.model.queue.length).toBe(0);
  });
});

describe('resize modes', () => {
  /** The part of a picture from this column on. */
  const from = (left: number, width: number): RawImage => ({
    ...{ width, height: edge, channels: 3 },
    data: Uint8Array.from({ length: width * edge * 3 }, (_, i) => {
      const [x, y] = [left + (Math.floor(i / 3) % width), Math.floor(i / 3 / width)];
      return [2 * x, 4 * y, x + y][i % 3] ?? NaN;
    }),
  });
  const wide = from(0, 2 * edge);
  const middle = from(edge / 2, edge);
  const img2img = { ...tiny, image: wide, denoisingStrength: 0.5 } as const;

  it('crop takes the middle', async () => {
    const cropped = await fixture.model.img2img({ ...img2img, resizeMode: 'crop' });
    expect(hashes(cropped)).toEqual(hashes(await fixture.model.img2img({ ...img2img, image: middle })));
    expect(only(cropped).parameters).toMatchObject({ resizeMode: 'crop' });
  });

  it('each gives another picture, and stretch is the default', async () => {
    const drawn: string[] = [];
    for (const resizeMode of ['stretch', 'crop', 'pad'] as const)
      drawn.push(...hashes(await fixture.model.img2img({ ...img2img, resizeMode })));
    expect(new Set(drawn).size).toBe(3);
    expect(hashes(await fixture.model.img2img(img2img))).toEqual([drawn[0]]);
  });

  it('hold for the mask as well: what it keeps is the cropped picture', async () => {
    const image = await painted({
      image: wide,
      mask: box(64, 0, 128, 64, 128, 64),
      resizeMode: 'crop',
      pasteBack: true,
    });
    expect(changes(image, middle)).toEqual([32, 0, 64, 64]);
  });
});

describe('variation seeds', () => {
  const draw = (change: object) => fixture.model.txt2img({ ...tiny, seed: 5, ...change });

  it('strength 0 is the seed alone, strength 1 the other seed', async () => {
    const own = hashes(await draw({}));
    const other = hashes(await draw({ seed: 9 }));
    expect(hashes(await draw({ variationSeed: 9, variationStrength: 0 }))).toEqual(own);
    expect(hashes(await draw({ variationSeed: 9, variationStrength: 1 }))).toEqual(other);
    expect(own).not.toEqual(other);
  });

  it('goes from one picture to the other', async () => {
    const [own, near, far, other] = await Promise.all(
      [0, 0.1, 0.9, 1].map(async (variationStrength) => only(await draw({ variationSeed: 9, variationStrength }))),
    );
    if (own === undefined || near === undefined || far === undefined || other === undefined) throw new Error('missing');
    expect(meanDiff(near.data, own.data)).toBeLessThan(meanDiff(near.data, other.data));
    expect(meanDiff(far.data, other.data)).toBeLessThan(meanDiff(far.data, own.data));
  });

  it("leaves the sampler's own noise to the seed: a breath of variation is a breath of difference", async () => {
    const own = only(await draw({ sampler: 'euler_a', steps: 4 }));
    const near = only(await draw({ sampler: 'euler_a', steps: 4, variationSeed: 9, variationStrength: 0.001 }));
    const other = only(await draw({ sampler: 'euler_a', steps: 4, seed: 9 }));
    expect(meanDiff(near.data, own.data)).toBeLessThan(meanDiff(own.data, other.data) / 10);
  });

  it('a batch keeps its seed and counts the variation seeds', async () => {
    const batch = await draw({ batchSize: 2, variationSeed: 9, variationStrength: 0.5 });
    expect(batch.images.map(({ seed }) => seed)).toEqual([5, 5]);
    expect(batch.images.map(({ parameters }) => parameters['variationSeed'])).toEqual([9, 10]);
    expect(hashes(await draw({ variationSeed: 10, variationStrength: 0.5 }))).toEqual(hashes(batch).slice(1));
  });

  it('a random one is reported and draws the same again', async () => {
    const image = only(await draw({ variationStrength: 0.5 }));
    const { variationSeed } = image.parameters;
    expect(variationSeed).toBeTypeOf('number');
    expect(hashes(await draw({ variationSeed, variationStrength: 0.5 }))).toEqual(hashes({ images: [image] }));
  });
});

describe('infotext', () => {
  it('makes the same picture again, beside the same pictures', async () => {
    const image = await painted({
      ...{ maskBlur: { x: 2, y: 3 }, maskInvert: true, maskedContent: 'latent noise', resizeMode: 'pad' },
      ...{ inpaintArea: 'only masked', maskedPadding: 5, variationSeed: 3, variationStrength: 0.25 },
    });
    expect(infotextToMode(image.infotext)).toBe('inpaint');
    const read = infotextToRequest(image.infotext);
    expect({ mode: 'inpaint', ...read }).toEqual(image.parameters);
    expect(hashes(await fixture.model.inpaint({ ...read, image: picture, mask }))).toEqual(hashes({ images: [image] }));
  });
});
