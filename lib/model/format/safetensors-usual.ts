import { JsonError } from './json.js';
import { limits, type Metadata, type TensorHeader } from './types.js';

/** What a safetensors header says of one tensor; `begin` and `end` are bytes of the weights. */
export interface SafetensorsEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Past this, the scanner's bounds on memory matter. */
const largest = 8 * 1024 * 1024;
/** In UTF-16 units; each takes three bytes of UTF-8 at most. */
const longestName = Math.floor(limits.nameBytes / 3);

/**
 * Reads a header of the usual form with `JSON.parse`, several times as fast as the scanner, which makes up most of what
 * a load does in JavaScript. Undefined where anything at all is unusual: the scanner then reads it, or says what is
 * wrong and where.
 * @param tensor makes the tensor of an entry; throws `JsonError` when it is not sound.
 */
export function parseUsual(
  header: Buffer,
  tensor: (name: string, entry: SafetensorsEntry) => TensorHeader,
): { readonly tensors: TensorHeader[]; readonly metadata: Metadata } | undefined {
  if (header.length > largest) return undefined;
  const text = header.toString('utf8');
  if (isUnusual(text)) return undefined;
  try {
    const root: unknown = JSON.parse(text);
    if (typeof root !== 'object' || root === null || Array.isArray(root)) return undefined;
    const tensors: TensorHeader[] = [];
    let metadata: Metadata = {};
    for (const [name, value] of Object.entries(root as Record<string, unknown>)) {
      if (name === '__metadata__') {
        if (!isTexts(value)) return undefined;
        metadata = Object.assign(Object.create(null), value) as Metadata;
        continue;
      }
      const entry = entryOf(value);
      if (entry === undefined || name.length > longestName || oddName.test(name)) return undefined;
      tensors.push(tensor(name, entry));
    }
    // Of two equal keys `JSON.parse` keeps the last; a key that is written once for every tensor was given once.
    return tensors.length <= limits.tensors && occurrences(text, '"dtype"') === tensors.length
      ? { tensors, metadata }
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof JsonError) return undefined;
    throw error;
  }
}

// Control characters, and numbers, which `JSON.parse` moves to the front.
// eslint-disable-next-line no-control-regex -- these are what is looked for
const oddName = /[\0-\x1f]|^\d+$/;

/** Broken UTF-8, characters as escapes, two `__metadata__`, or numbers with a sign, a point or an exponent. */
function isUnusual(text: string): boolean {
  if (text.includes('\ufffd') || text.includes('\\u') || /[[,\s:](?:-|\d+[.eE])/.test(text)) return true;
  return text.indexOf('"__metadata__"') !== text.lastIndexOf('"__metadata__"');
}

function isTexts(value: unknown): value is Record<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.values(value);
  return entries.length <= limits.tensors && entries.every((entry) => typeof entry === 'string');
}

function entryOf(value: unknown): SafetensorsEntry | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  if (typeof dtype !== 'string' || !isIntegers(shape) || shape.length > limits.dimensions) return undefined;
  if (!isIntegers(offsets) || offsets.length !== 2) return undefined;
  const [begin = 0, end = 0] = offsets;
  return { dtype, shape, begin, end };
}

function isIntegers(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry) && entry >= 0);
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count += 1;
  return count;
}
