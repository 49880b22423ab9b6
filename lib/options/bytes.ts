import { invalidOption } from '../errors/index.js';
import { checker, type Checker } from './checker.js';

const units: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** An amount of memory: bytes as a number, or a number with a unit: `2GiB`, `1.5 GB`, `512MiB`. The result is bytes. */
export function byteSize(): Checker<number, number | string> {
  const allowed = 'bytes as a positive integer, or a text such as "2GiB", "1.5GB" or "512MiB"';
  return checker(allowed, (value, field) => {
    const bytes = typeof value === 'string' ? parse(value) : value;
    if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes <= 0)
      throw invalidOption(field, value, allowed);
    return bytes;
  });
}

function parse(value: string): number | undefined {
  const [, amount, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(value) ?? [];
  const factor = units[unit?.toLowerCase() ?? ''];
  return amount === undefined || factor === undefined ? undefined : Math.floor(Number(amount) * factor);
}
