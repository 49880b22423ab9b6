import { beforeAll, describe, expect, it } from 'vitest';
import type { Latent } from '../../lib/index.js';
import { paint, useModel } from '../support/native.js';
import { seamsOf, type Square } from '../support/seams.js';

const fixture = useModel();
const size = 192;
/** A seam is seen from about two levels on in a smooth area; tiles that blend stay far below one. */
const visible = 1;

describe('tiles of the VAE', () => {
  let latent: Latent;
  let whole: Square;

  const decoded = async (tiling: false | { tileSize: number; overlap?: number }): Promise<Square> => {
    const [image] = await fixture.model.decodeLatent({ latent, tiling });
    if (image === undefined) throw new Error('nothing was decoded');
    return { data: image.data, size };
  };

  beforeAll(async () => {
    const rings = (x: number, y: number): [number, number, number] => {
      const distance = Math.hypot(x - 90, y - 105);
      return [128 + 100 * Math.sin(distance / 16), 90 + x / 2, 60 + y / 2];
    };
    latent = await fixture.model.encodeImage({ image: paint(rings, size) });
    whole = await decoded(false);
  });

  it.each([8, 16])('of %d cells with the default overlap show no seam', async (tileSize) => {
    const seams = seamsOf(await decoded({ tileSize }), whole);
    expect(seams.excess).toBeLessThan(visible);
    expect(seams.largest).toBeLessThan(32);
  });

  it('without overlap show one, which the measure finds', async () => {
    expect(seamsOf(await decoded({ tileSize: 12, overlap: 0 }), whole).excess).toBeGreaterThan(visible);
  });

  it('a hard border is found whatever drew it: one half a little brighter', () => {
    const half = whole.data.map((value, index) =>
      Math.floor(index / 3) % size < size / 2 ? value : Math.min(255, value + 3),
    );
    expect(seamsOf({ data: half, size }, whole).excess).toBeGreaterThan(visible);
    expect(seamsOf(whole, whole)).toEqual({ excess: 0, largest: 0 });
  });
});
