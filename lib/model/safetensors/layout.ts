/** Element types that this package writes. */
export type SafetensorsDtype = 'F16' | 'F32' | 'I32';

/** Bytes of one element. */
export const dtypeBytes: Readonly<Record<SafetensorsDtype, number>> = { F16: 2, F32: 4, I32: 4 };

/** Name, element type and shape (row-major, slowest dimension first) of a tensor. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/** Where the bytes of a tensor lie, counted from the end of the header. */
export interface TensorSpan {
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsLayout {
  /** Length prefix and JSON header, ready to write. A multiple of 8 bytes, so that the data is aligned. */
  readonly header: Buffer;
  readonly spans: readonly TensorSpan[];
  /** Header and data. */
  readonly totalBytes: number;
}

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * Lays tensors out one after the other, in the given order, with no gaps.
 * Format: 8 bytes little-endian header length, JSON header padded with spaces, data
 * (https://github.com/huggingface/safetensors#format).
 *
 * @throws RangeError when a name appears twice or is `__metadata__`; both are mistakes of the caller.
 */
export function layOut(tensors: readonly TensorSpec[], metadata: Readonly<Record<string, string>>): SafetensorsLayout {
  const entries: Record<string, unknown> = { __metadata__: metadata };
  const spans: TensorSpan[] = [];
  let offset = 0;
  for (const { name, dtype, shape } of tensors) {
    if (Object.hasOwn(entries, name)) throw new RangeError(`Two safetensors entries are called ${name}.`);
    const end = offset + elementCount(shape) * dtypeBytes[dtype];
    entries[name] = { dtype, shape, data_offsets: [offset, end] };
    spans.push({ begin: offset, end });
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(entries));
  const padded = Math.ceil(json.length / 8) * 8;
  const header = Buffer.alloc(8 + padded, ' ');
  header.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(header, 8);
  return { header, spans, totalBytes: header.length + offset };
}
