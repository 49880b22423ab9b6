import { describe, expect, it } from 'vitest';
import { type RawImage } from '../../lib/index.js';
import { edge, expectPicture, failure, hashes, meanDiff, only, paint, tiny, useModel } from '../support/native.js';

const fixture = useModel();

/** Red over blue, so that upside down is the other picture. */
const picture = paint((_, y) => (y < edge / 2 ? [230, 40, 30] : [20, 60, 220]));
const turned = paint((_, y) => (y < edge / 2 ? [20, 60, 220] : [230, 40, 30]));
const request = { ...tiny, steps: 4, prompt: 'a red apple', image: picture };

/** The picture as the autoencoder sees it. */
async function roundTrip(image: RawImage): Promise<Uint8Array> {
  const latent = await fixture.model.encodeImage({ image });
  const [decoded] = await fixture.model.decodeLatent({ latent });
  if (decoded === undefined) throw new Error('nothing was decoded');
  return decoded.data;
}

describe('img2img', () => {
  it('keeps the composition: nearer to its input than to another picture', async () => {
    const image = only(await fixture.model.img2img({ ...request, denoisingStrength: 0.4 }));
    expectPicture(image);
    expect(meanDiff(image.data, picture.data)).toBeLessThan(meanDiff(image.data, turned.data));
    expect(image.parameters).toMatchObject({ mode: 'img2img', denoisingStrength: 0.4 });
  });

  it('goes further from its input with more strength', async () => {
    const distances: number[] = [];
    for (const denoisingStrength of [0.25, 1]) {
      const image = only(await fixture.model.img2img({ ...request, denoisingStrength }));
      distances.push(meanDiff(image.data, picture.data));
    }
    expect(distances[0]).toBeLessThan(distances[1] ?? NaN);
  });

  it('runs floor(steps * strength) + 1 steps', async () => {
    for (const [steps, strength] of [
      [4, 0.25],
      [4, 0.5],
      [3, 0],
    ] as const) {
      let total = 0;
      await fixture.model.img2img({
        ...request,
        steps,
        denoisingStrength: strength,
        onProgress: (event) => {
          if (event.phase === 'sample') total = event.total;
        },
      });
      expect(total).toBe(Math.floor(steps * strength) + 1);
    }
  });

  it('is deterministic, in a batch too', async () => {
    const batch = await fixture.model.img2img({ ...request, steps: 2, sampler: 'euler_a', batchSize: 2 });
    const [first, second] = hashes(batch);
    expect(first).not.toBe(second);
    const single = { ...request, steps: 2, sampler: 'euler_a' };
    expect(hashes(await fixture.model.img2img(single))).toEqual([first]);
  });

  it('takes its size from the picture, rounded down to the multiple', async () => {
    const { sizeMultiple } = fixture.model.info;
    const large = paint((x, y) => [x * 2, y * 2, 128], sizeMultiple * 2 - 1);
    const { width: _, height: __, ...free } = request;
    const image = only(await fixture.model.img2img({ ...free, steps: 1, image: large }));
    expect([image.width, image.height]).toEqual([sizeMultiple, sizeMultiple]);
  });

  it('with a picture that is none fails before anything is drawn', async () => {
    const error = await failure(fixture.model.img2img({ ...request, image: Buffer.from('no picture') }));
    expect(error.code).toBe('ERR_IMAGE_INVALID');
    expect(fixture.model.queue.length).toBe(0);
  });
});

describe('inpaint', () => {
  const half: RawImage = {
    width: edge,
    height: edge,
    channels: 1,
    data: Uint8Array.from({ length: edge * edge }, (_, i) => (Math.floor(i / edge) < edge / 2 ? 255 : 0)),
  };

  it('repaints the white part and leaves the black one', async () => {
    const image = only(await fixture.model.inpaint({ ...request, mask: half, denoisingStrength: 1 }));
    expectPicture(image);
    const kept = await roundTrip(picture);
    // A quarter at each end: the autoencoder's convolutions carry a few pixels over the border in the middle.
    const quarter = kept.length / 4;
    const above = meanDiff(image.data.subarray(0, quarter), kept.subarray(0, quarter));
    const below = meanDiff(image.data.subarray(-quarter), kept.subarray(-quarter));
    expect(below).toBeLessThan(2);
    expect(above).toBeGreaterThan(4 * below);
  });

  it('leaves the latent cells outside the mask as they were, to rounding', async () => {
    const { model } = fixture;
    using conditioning = await model.encodePrompt({ prompt: tiny.prompt, negativePrompt: null });
    const latent = await model.encodeImage({ image: picture });
    const cells = edge / model.info.scaleFactor;
    const mask = Float32Array.from({ length: cells * cells }, (_, i) => (Math.floor(i / cells) < cells / 2 ? 1 : 0));
    const { steps, cfgScale, sampler, schedule, seed } = request;
    const result = await model.sample({ conditioning, latent, mask, steps, cfgScale, sampler, schedule, seed });
    const [before, after] = [latent.toFloat32Array(), result.toFloat32Array()];
    let [kept, changed] = [0, 0];
    for (const [index, value] of before.entries()) {
      const difference = Math.abs(value - (after[index] ?? NaN));
      if (mask[index % mask.length] === 0) kept = Math.max(kept, difference);
      else changed = Math.max(changed, difference);
    }
    // f32 has 24 bits; the noise to be taken away again is at most sigma_max = 14.6 times 5.
    expect(kept).toBeLessThan(14.6 * 5 * 2 ** -20);
    expect(changed).toBeGreaterThan(0.1);
  });

  it('with an all-white mask is img2img, with an all-black one the picture itself', async () => {
    const all = (value: number): RawImage => ({ ...half, data: new Uint8Array(edge * edge).fill(value) });
    const white = await fixture.model.inpaint({ ...request, steps: 2, mask: all(255) });
    expect(hashes(white)).toEqual(hashes(await fixture.model.img2img({ ...request, steps: 2 })));
    const black = only(await fixture.model.inpaint({ ...request, steps: 2, mask: all(0) }));
    expect(meanDiff(black.data, await roundTrip(picture))).toBeLessThan(0.5);
  });
});
