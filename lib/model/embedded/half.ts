// IEEE 754 binary16 to and from numbers. Node 20 has no Float16Array.

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** Value of the half-precision number with these 16 bits. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Bits of the half-precision number nearest to `value` after rounding to single precision; ties go to even. */
export function numberToHalf(value: number): number {
  scratch[0] = value;
  const bits = scratchBits[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 0xff;
  const fraction = bits & 0x7fffff;
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200);
  const half = exponent - 127 + 15;
  if (half >= 31) return sign | 0x7c00;
  if (half <= 0) {
    // Subnormal: the hidden bit becomes visible and everything shifts down. Below half the smallest step it is zero.
    if (half < -10) return sign;
    return sign | roundShift(fraction | 0x800000, 14 - half);
  }
  // A carry out of the fraction runs into the exponent, which is what rounding up means there, up to infinity.
  return sign | ((half << 10) + roundShift(fraction, 13));
}

/** `value >> shift`, rounded to nearest, ties to even. */
function roundShift(value: number, shift: number): number {
  const floor = value >>> shift;
  const rest = value & ((1 << shift) - 1);
  const tie = 1 << (shift - 1);
  return rest > tie || (rest === tie && (floor & 1) === 1) ? floor + 1 : floor;
}

/** Copy of half-precision values, each multiplied by `factor` and rounded to nearest even. */
export function scaleHalves(values: Uint16Array, factor: number): Uint16Array {
  return values.map((bits) => numberToHalf(Math.fround(halfToNumber(bits)) * Math.fround(factor)));
}
