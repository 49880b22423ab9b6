/** Bytes of a tensor to numbers, and what one unit in the last place is; independent of the C++. */
import { halfToNumber } from '../../../lib/model/embedded/half.js';

export function numbersOf(type: string, bytes: Uint8Array): Float64Array {
  const { buffer, byteOffset, byteLength } = bytes.slice();
  if (type === 'f32') return Float64Array.from(new Float32Array(buffer, byteOffset, byteLength / 4));
  const halves = new Uint16Array(buffer, byteOffset, byteLength / 2);
  if (type === 'f16') return Float64Array.from(halves, halfToNumber);
  if (type === 'bf16') {
    const wide = new Uint32Array(halves.length);
    for (const [index, bits] of halves.entries()) wide[index] = bits << 16;
    return Float64Array.from(new Float32Array(wide.buffer));
  }
  if (type === 'q8_0') return eightBits(bytes);
  throw new Error(`The tests do not read ${type}`);
}

/** Blocks of a scale (f16) and 32 signed bytes. */
function eightBits(bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float64Array((bytes.byteLength / 34) * 32);
  for (let i = 0; i < values.length; i++) {
    const block = Math.floor(i / 32) * 34;
    values[i] = halfToNumber(view.getUint16(block, true)) * view.getInt8(block + 2 + (i % 32));
  }
  return values;
}

const mantissas: Readonly<Record<string, readonly [number, number]>> = {
  f32: [23, -126],
  f16: [10, -14],
  bf16: [7, -126],
};

/** Unit in the last place of a type at a value. */
export function unitAt(type: string, value: number): number {
  const [mantissa, smallest] = mantissas[type] ?? [0, 0];
  const exponent = value === 0 ? smallest : Math.floor(Math.log2(Math.abs(value)));
  return 2 ** (Math.max(smallest, exponent) - mantissa);
}
