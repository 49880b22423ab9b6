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
  if (type === 'q4_K') return fourBits(bytes);
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

/**
 * Blocks of 256: scales of scales and of minima (f16), eight of each in 6 bits, and 4 bits a value (ggml's
 * `block_q4_K`). The first four scales and minima are bytes of their own; the others have their low 4 bits in the last
 * four bytes, their high 2 bits above those of the first.
 */
function fourBits(bytes: Uint8Array): Float64Array {
  const [size, perBlock, group] = [144, 256, 32];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float64Array((bytes.byteLength / size) * perBlock);
  for (let i = 0; i < values.length; i++) {
    const [block, inside] = [Math.floor(i / perBlock) * size, i % perBlock];
    const j = Math.floor(inside / group);
    const at = (index: number): number => view.getUint8(block + 4 + index);
    const scale = j < 4 ? at(j) & 63 : (at(j + 4) & 15) | ((at(j - 4) >> 6) << 4);
    const least = j < 4 ? at(j + 4) & 63 : (at(j + 4) >> 4) | ((at(j) >> 6) << 4);
    const pair = view.getUint8(block + 16 + (j >> 1) * group + (inside % group));
    const [d, dmin] = [halfToNumber(view.getUint16(block, true)), halfToNumber(view.getUint16(block + 2, true))];
    values[i] = d * scale * (j % 2 === 0 ? pair & 15 : pair >> 4) - dmin * least;
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
