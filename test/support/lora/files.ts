import { writeFileSync } from 'node:fs';
import { halfToNumber, numberToHalf } from '../../../lib/model/embedded/half.js';

/** A matrix or kernel of a synthetic LoRA: f32 values, the first dimension slowest. */
export interface Part {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Seeded numbers around zero (mulberry32, Tommy Ettinger), about normal with the deviation `size`. */
export function seeded(seed: number): (shape: readonly number[], size: number) => Part {
  let state = seed | 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 - 0.5;
  };
  return (shape, size) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < data.length; i++) data[i] = (uniform() + uniform() + uniform()) * 2 * size;
    return { shape, data };
  };
}

export function scalar(value: number): Part {
  return { shape: [], data: Float32Array.of(value) };
}

export type LoraType = 'F32' | 'F16' | 'BF16';

/** Upper half of a 32-bit float. */
function brainHalf(value: number): number {
  return (new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0) >>> 16;
}

/** What is left of a part in a file of the type. */
export function storedAs(type: LoraType, { shape, data }: Part): Part {
  if (type === 'F32') return { shape, data };
  if (type === 'F16') return { shape, data: data.map((value) => halfToNumber(numberToHalf(value))) };
  return {
    shape,
    data: data.map((value) => new Float32Array(Uint32Array.of(brainHalf(value) << 16).buffer)[0] ?? NaN),
  };
}

/** Writes a safetensors file of 32-bit floats, or of 16-bit ones. */
export function writeLora(
  path: string,
  tensors: Readonly<Record<string, Part>>,
  metadata: Readonly<Record<string, string>> = {},
  dtype: LoraType = 'F32',
): string {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let offset = 0;
  const stored = Object.entries(tensors).map(([name, { shape, data }]) => ({
    ...{ name, shape },
    data: dtype === 'F32' ? data : Uint16Array.from(data, dtype === 'F16' ? numberToHalf : brainHalf),
  }));
  for (const { name, shape, data } of stored) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = JSON.stringify(header);
  const padded = json.padEnd(Math.ceil(json.length / 8) * 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const parts = stored.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  writeFileSync(path, Buffer.concat([length, Buffer.from(padded, 'latin1'), ...parts]));
  return path;
}

/** Tensors of plain low-rank modules: `{ base: [out, in] }` gives up, down and alpha under kohya's names. */
export function lowRank(
  modules: Readonly<Record<string, readonly [number, number]>>,
  { seed, rank = 4, alpha = 4, size = 0.02 }: { seed: number; rank?: number; alpha?: number; size?: number },
): Record<string, Part> {
  const random = seeded(seed);
  const tensors: Record<string, Part> = {};
  for (const [base, [output, input]] of Object.entries(modules)) {
    tensors[`${base}.lora_up.weight`] = random([output, rank], size);
    tensors[`${base}.lora_down.weight`] = random([rank, input], size);
    tensors[`${base}.alpha`] = scalar(alpha);
  }
  return tensors;
}
