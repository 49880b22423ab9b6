import { describe, expect, it } from 'vitest';
import { halfToNumber, numberToHalf, scaleHalves } from '../../lib/model/embedded/half.js';

const everyHalf = Array.from({ length: 0x10000 }, (_, bits) => bits);

describe('half precision', () => {
  it('comes back unchanged for every number there is', () => {
    const changed = everyHalf.filter((bits) => {
      const value = halfToNumber(bits);
      return !Number.isNaN(value) && numberToHalf(value) !== bits;
    });
    expect(changed).toEqual([]);
  });

  it('keeps what is not a number', () => {
    expect(everyHalf.filter((bits) => Number.isNaN(halfToNumber(bits)))).toHaveLength(2 * 1023);
    expect(halfToNumber(numberToHalf(NaN))).toBeNaN();
  });

  it('rounds to the nearest, ties to even', () => {
    const finite = everyHalf.filter((bits) => bits < 0x7bff);
    for (const bits of finite) {
      const [low, high] = [halfToNumber(bits), halfToNumber(bits + 1)];
      const middle = (low + high) / 2;
      expect(numberToHalf(middle)).toBe(bits % 2 === 0 ? bits : bits + 1);
      expect(numberToHalf(middle + (high - low) / 64)).toBe(bits + 1);
      expect(numberToHalf(-(middle - (high - low) / 64))).toBe(bits | 0x8000);
    }
  });

  it('overflows to infinity and underflows to zero, with the sign', () => {
    expect(halfToNumber(numberToHalf(65519.99))).toBe(65504);
    expect(numberToHalf(65520)).toBe(0x7c00);
    expect(numberToHalf(-1e9)).toBe(0xfc00);
    expect(numberToHalf(2 ** -25)).toBe(0);
    expect(numberToHalf(-(2 ** -26))).toBe(0x8000);
  });

  it('scales within half a step of the exact product', () => {
    const factor = 1 / Math.sqrt(5);
    const values = Uint16Array.from({ length: 0x7c00 }, (_, bits) => bits);
    scaleHalves(values, factor).forEach((scaled, i) => {
      const exact = halfToNumber(values[i] as number) * factor;
      const step = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.abs(exact) || 1e-30)) - 10));
      expect(Math.abs(halfToNumber(scaled) - exact)).toBeLessThanOrEqual(step * 0.50001);
    });
  });
});
