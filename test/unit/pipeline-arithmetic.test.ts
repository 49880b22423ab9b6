import { describe, expect, it } from 'vitest';
import type { NativeImage } from '../../lib/native/contract.js';
import { latentMask, roundMask, unshuffleMask, widenMask } from '../../lib/pipeline/mask.js';
import { referenceSize } from '../../lib/pipeline/references.js';
import { effectiveSteps, encodeSteps, img2imgSigmas } from '../../lib/pipeline/steps.js';
import { concatChannels, resizeImageNearest, resizeNearest } from '../../lib/pipeline/tensors.js';
import { fakeSigmas } from '../support/fakeAddon.js';

function grey(width: number, height: number, at: (x: number, y: number) => number): NativeImage & { channels: 1 } {
  const data = new Uint8Array(width * height).map((_, i) => at(i % width, Math.floor(i / width)));
  return { width, height, channels: 1, data };
}

describe('img2img arithmetic', () => {
  it.each([1, 2, 3, 4, 7, 10, 20, 28, 33, 50, 999, 1000])('follows the formula of the engine for %i steps', (steps) => {
    for (let percent = 0; percent <= 100; percent++) {
      const strength = percent / 100;
      // size_t t_enc = static_cast<size_t>(sample_steps * strength) in f32; one less when that is all of them
      const product = Math.fround(steps * Math.fround(strength));
      const expected = Math.floor(product) === steps ? steps - 1 : Math.floor(product);
      if (strength < 1) expect(encodeSteps(steps, strength)).toBe(expected);
      const sigmas = fakeSigmas(steps);
      const kept = img2imgSigmas(sigmas, strength);
      const from = strength === 1 ? 0 : steps - expected - 1;
      expect([...kept]).toEqual([...sigmas].slice(from));
      expect(effectiveSteps(steps, strength)).toBe(kept.length - 1);
    }
  });

  it('computes in 32 bits, where 0.7 of 10 steps is 7 and 0.29 of 100 is 29', () => {
    expect(encodeSteps(10, 0.7)).toBe(7);
    expect(0.29 * 100).toBeLessThan(29);
    expect(encodeSteps(100, 0.29)).toBe(29);
  });

  it('runs at least one step', () => {
    expect(img2imgSigmas(fakeSigmas(20), 0)).toHaveLength(2);
    expect(img2imgSigmas(fakeSigmas(1), 0.5)).toHaveLength(2);
  });
});

describe('masks', () => {
  it('round at one half', () => {
    expect([...roundMask(grey(4, 1, (x) => [0, 127, 128, 255][x] ?? 0)).data]).toEqual([0, 0, 255, 255]);
  });

  it('repaint a cell when any of its pixels is white', () => {
    const mask = grey(16, 24, (x, y) => (x === 15 && y === 8 ? 255 : 0));
    expect(latentMask(mask, 8)).toEqual({ shape: [1, 1, 3, 2], data: Float32Array.of(0, 0, 0, 1, 0, 0) });
  });

  it('widen by one cell and stay inside', () => {
    const data = new Float32Array(16);
    data[0] = 1;
    const { data: wide } = widenMask({ shape: [1, 1, 4, 4], data });
    expect([...wide]).toEqual([1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('put the pixels of a cell into channels for Flux Fill', () => {
    const f = 2;
    const { shape, data } = unshuffleMask(
      grey(4, 4, (x, y) => (x === 3 && y === 0 ? 255 : 0)),
      f,
    );
    expect(shape).toEqual([1, 4, 2, 2]);
    // pixel (3, 0): cell x 1, y 0; inside the cell x 1, y 0, so channel 0 * 2 + 1
    expect([...data].indexOf(1)).toBe(1 * 4 + 1);
    expect([...data].filter((value) => value === 1)).toHaveLength(1);
  });
});

describe('tensors', () => {
  it('resize with the nearest neighbour to the upper left', () => {
    const tensor = { shape: [1, 1, 2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
    expect([...resizeNearest(tensor, 4, 2).data]).toEqual([1, 2, 1, 2, 4, 5, 4, 5]);
    expect(resizeNearest(tensor, 2, 3)).toBe(tensor);
    const image = { width: 2, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    expect([...resizeImageNearest(image, 3, 1).data]).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6]);
  });

  it('join on the channel axis', () => {
    const a = { shape: [1, 1, 1, 2], data: Float32Array.of(1, 2) };
    const b = { shape: [1, 2, 1, 2], data: Float32Array.of(3, 4, 5, 6) };
    expect(concatChannels(a, b)).toEqual({ shape: [1, 3, 1, 2], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  });

  it('size references as the engine does', () => {
    expect(referenceSize({ width: 512, height: 512 }, 512, 512, 'Flux')).toEqual({ width: 512, height: 512 });
    expect(referenceSize({ width: 800, height: 600 }, 1024, 1024, 'Flux')).toEqual({ width: 1184, height: 880 });
    const { width, height } = referenceSize({ width: 800, height: 600 }, 1024, 1024, 'Qwen Image');
    expect([width % 32, height % 32]).toEqual([0, 0]);
  });
});
