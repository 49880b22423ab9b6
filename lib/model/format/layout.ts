import { corrupt, quote, type FileContext } from './errors.js';
import type { TensorHeader } from './types.js';

/** Product of two non-negative integers, or undefined when it is no longer exact. */
export function multiply(a: number, b: number): number | undefined {
  if (a === 0 || b === 0) return 0;
  return a <= Number.MAX_SAFE_INTEGER / b ? a * b : undefined;
}

/** Number of elements of a shape, or undefined when it is past 2^53 - 1. */
export function elementCount(shape: readonly number[]): number | undefined {
  let count: number | undefined = 1;
  // The non-zero dimensions are multiplied too, so that [0, 2^60, 2^60] is not taken for an empty tensor.
  for (const dimension of shape) {
    if (dimension !== 0) count = multiply(count, dimension);
    if (count === undefined) return undefined;
  }
  return shape.includes(0) ? 0 : count;
}

/** Checks that no two tensors share bytes; with `from` and `to` also that they fill that range without a hole. */
export function checkLayout(
  file: FileContext,
  tensors: readonly TensorHeader[],
  filled?: { from: number; to: number },
): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = filled?.from ?? 0;
  let last = '';
  for (const tensor of sorted) {
    if (tensor.bytes > 0 && tensor.offset < end && last !== '') {
      throw corrupt(file, `the tensors ${quote(last)} and ${quote(tensor.name)} overlap`, tensor.offset);
    }
    if (filled !== undefined && tensor.offset > end) {
      throw corrupt(
        file,
        `${String(tensor.offset - end)} bytes before tensor ${quote(tensor.name)} belong to no tensor`,
        end,
      );
    }
    if (tensor.bytes === 0) continue;
    end = tensor.offset + tensor.bytes;
    last = tensor.name;
  }
  if (filled !== undefined && end < filled.to) {
    throw corrupt(file, `${String(filled.to - end)} bytes after the last tensor belong to no tensor`, end);
  }
}
