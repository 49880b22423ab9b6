import { invalidOption } from '../errors/index.js';
import { didYouMean, nearest } from '../options/index.js';
import { blockOf } from './tensorIndex.js';
import type { BlockWeights } from './types.js';

const range = (prefix: string, numbers: readonly number[]): string[] =>
  numbers.map((number) => `${prefix}${String(number).padStart(2, '0')}`);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Orders of the extension LoRA Block Weight, by how many numbers are given. */
const orders: Readonly<Record<number, readonly string[]>> = {
  12: ['BASE', ...range('IN', [4, 5, 7, 8]), 'M00', ...range('OUT', upTo(6))],
  17: ['BASE', ...range('IN', [1, 2, 4, 5, 7, 8]), 'M00', ...range('OUT', [3, 4, 5, 6, 7, 8, 9, 10, 11])],
  20: ['BASE', ...range('IN', upTo(9)), 'M00', ...range('OUT', upTo(9))],
  26: ['BASE', ...range('IN', upTo(12)), 'M00', ...range('OUT', upTo(12))],
};

/**
 * Factor of a tensor's block. With a list, blocks that it does not name are 0, as in that extension; with names, 1.
 * @throws DiffusionError `ERR_INVALID_OPTION` for another length, or a block that the model does not have.
 */
export function blockFactors(given: BlockWeights | undefined, known: ReadonlySet<string>): (tensor: string) => number {
  if (given === undefined) return () => 1;
  if (Array.isArray(given)) {
    const list = given as readonly number[];
    const order = orders[list.length];
    if (order === undefined)
      throw invalidOption('blockWeights', given, 'a list of 12, 17, 20 or 26 numbers, or an object');
    const factors = new Map(order.map((name, index) => [name, list[index] ?? 0]));
    return (tensor) => factors.get(blockOf(tensor)) ?? 0;
  }
  const factors = new Map<string, number>();
  const names = new Map([...known].map((name) => [name.toLowerCase(), name]));
  names.set('base', 'BASE').set('mid', 'M00');
  for (const [name, value] of Object.entries(given)) {
    const block = names.get(name.toLowerCase());
    if (block === undefined) {
      const allowed = `a block of the model: ${[...known].sort().join(', ')}`;
      throw invalidOption(`blockWeights.${name}`, value, allowed, didYouMean(nearest(name, [...known])));
    }
    factors.set(block, value);
  }
  return (tensor) => factors.get(blockOf(tensor)) ?? 1;
}
