import { beforeAll, describe, expect, it } from 'vitest';
import { type GeneratedImage, type Model, type RawImage, type LoadUpscalerOptions } from '../../lib/index.js';
import { upscalePixels } from '../../lib/pipeline/hires/upscalePixels.js';
import { edge, hashes, meanDiff, only, sha256, tiny, useModel } from '../support/native.js';
import { useScratch } from '../support/scratch.js';
import { writeUpscaler } from '../support/upscaler.js';

const fixture = useModel({ mmap: true });
const scratch = useScratch(2 ** 24);
const at = (name: string): string => scratch.path(`${name}.safetensors`);
const size = { width: 2 * edge, height: 2 * edge, upscaledWidth: 2 * edge, upscaledHeight: 2 * edge };
const exact = { ...size, cropX: 0, cropY: 0, enlarges: true };
// A hires pass runs the last two of int(2 / 0.6) steps, img2img the last floor(3 * 0.5) + 1 of three.
const hires = { width: size.width, height: size.height, denoisingStrength: 0.6, steps: 2 } as const;
const byHand = { ...tiny, width: size.width, height: size.height, denoisingStrength: 0.5, steps: 3 } as const;

let first: GeneratedImage;

beforeAll(async () => {
  await writeUpscaler(at('x2'), { scale: 2, weights: { seed: 5 } });
  await writeUpscaler(at('other-x2'), { scale: 2, weights: { seed: 6 } });
  await writeUpscaler(at('x4'), { scale: 4, weights: { seed: 5 } });
  first = only(await fixture.model.txt2img(tiny));
});

/** What an upscaler makes of the first pass by itself. */
async function enlarged(options: LoadUpscalerOptions): Promise<RawImage> {
  await using upscaler = await fixture.runtime.loadUpscaler(options);
  return upscaler.upscale({ image: first });
}

/** The second pass by hand: img2img over a picture. */
async function refined(model: Model, { width, height, data }: RawImage): Promise<string[]> {
  return hashes(await model.img2img({ ...byHand, image: { width, height, channels: 3, data } }));
}

describe('a hires pass with an upscaler model', () => {
  it('begins with the pixels that the model makes of the first pass: by hand the same bytes', async () => {
    const { model } = fixture;
    const upscaled = await enlarged({ file: at('x2') });
    expect([upscaled.width, upscaled.height]).toEqual([size.width, size.height]);
    const phases = new Set<string>();
    const result = await model.txt2img({
      ...tiny,
      hires: { ...hires, upscaler: at('x2') },
      onProgress: ({ phase }) => void phases.add(phase),
    });
    expect(hashes(result)).toEqual(await refined(model, upscaled));
    expect(phases).toContain('upscale');
    // The same pass over other pixels is another picture.
    const others = [
      await enlarged({ file: at('other-x2') }),
      await upscalePixels(first, exact, 'lanczos'),
      await upscalePixels(first, exact, 'nearest'),
    ];
    for (const other of others) {
      expect(meanDiff(other.data, upscaled.data)).toBeGreaterThan(1);
      expect(await refined(model, other as RawImage)).not.toEqual(hashes(result));
    }
  });

  it('works in tiles of the size that was asked for', async () => {
    const { model } = fixture;
    const options = { file: at('x2'), tileSize: 32 };
    const [whole, tiled] = [await enlarged({ file: at('x2') }), await enlarged(options)];
    expect(sha256(tiled.data)).not.toBe(sha256(whole.data));
    let tiles = 0;
    const result = await model.txt2img({
      ...tiny,
      hires: { ...hires, upscaler: options },
      onProgress: ({ phase, total }) =>
        (tiles = phase === 'upscale' || phase === 'tile' ? Math.max(tiles, total) : tiles),
    });
    expect(hashes(result)).toEqual(await refined(model, tiled));
    // Tiles overlap by a quarter: three fit along an edge of 64 pixels.
    expect(tiles).toBe(9);
    const large = await model.txt2img({ ...tiny, hires: { ...hires, upscaler: { ...options, tileSize: 64 } } });
    expect(hashes(large)).toEqual(await refined(model, whole));
  });

  it('whose scale is larger is brought to the size by lanczos', async () => {
    const { model } = fixture;
    const upscaled = await enlarged({ file: at('x4') });
    expect([upscaled.width, upscaled.height]).toEqual([4 * edge, 4 * edge]);
    const { width, height, data } = await upscalePixels(
      { width: upscaled.width, height: upscaled.height, channels: 3, data: upscaled.data },
      exact,
      'lanczos',
    );
    const result = await model.txt2img({ ...tiny, hires: { ...hires, upscaler: at('x4') } });
    expect(hashes(result)).toEqual(await refined(model, { width, height, channels: 3, data }));
  });
});
