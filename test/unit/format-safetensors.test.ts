import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { limits, readHeader } from '../../lib/model/format/index.js';
import { cuts, failure, safetensors, safetensorsOf, u64, Workshop } from '../support/formatFixtures.js';

const shop = new Workshop();
beforeAll(() => shop.open());
afterAll(() => shop.close());

const corrupt = async (bytes: Uint8Array, ...texts: string[]) =>
  failure(readHeader(await shop.file(bytes)), 'ERR_MODEL_CORRUPT', ...texts);
const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });

describe('safetensors', () => {
  it('reads names, dtypes, shapes, places and metadata', async () => {
    const header = {
      __metadata__: { format: 'pt', constructor: 'x', note: 'a "b" \u00e9' },
      b: entry('BF16', [3], [16, 22]),
      'a.weight': entry('F32', [2, 2], [0, 16]),
      scalar: entry('I64', [], [22, 30]),
      empty: entry('U8', [0, 5], [30, 30]),
    };
    const bytes = safetensors(header, 30);
    const path = await shop.file(bytes, 'named-wrongly.ckpt');
    const read = await readHeader(path);
    const start = bytes.length - 30;
    expect(read).toMatchObject({ format: 'safetensors', path, bytes: bytes.length });
    expect({ ...read.metadata }).toEqual(header.__metadata__);
    expect(read.tensors).toEqual([
      { name: 'b', dtype: 'BF16', shape: [3], offset: start + 16, bytes: 6 },
      { name: 'a.weight', dtype: 'F32', shape: [2, 2], offset: start, bytes: 16 },
      { name: 'scalar', dtype: 'I64', shape: [], offset: start + 22, bytes: 8 },
      { name: 'empty', dtype: 'U8', shape: [0, 5], offset: start + 30, bytes: 0 },
    ]);
  });

  it('reads sub-byte dtypes and a header padded with spaces', async () => {
    const text = `${JSON.stringify({ x: entry('F4', [3, 2], [0, 3]), y: entry('F8_E4M3', [5], [3, 8]) })}   `;
    const read = await readHeader(await shop.file(safetensors(text, 8)));
    expect(read.tensors.map((tensor) => tensor.bytes)).toEqual([3, 5]);
  });

  it('keeps a metadata key called __proto__ as data', async () => {
    const read = await readHeader(
      await shop.file(
        safetensors('{"__metadata__":{"__proto__":"x"},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1),
      ),
    );
    expect(Object.keys(read.metadata)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('gives a typed error for every cut', async () => {
    const whole = safetensorsOf({ 'model.a': [4, 4], 'model.b': [300] }, { format: 'pt' });
    for (const length of cuts(whole.length)) {
      const error = await failure(
        readHeader(await shop.file(whole.subarray(0, length), 'cut.bin')),
        'ERR_MODEL_CORRUPT',
      );
      expect(error.message).toMatch(/at byte \d+/);
    }
  });

  it('gives a typed error or a sound header for every flipped byte of the head', async () => {
    const whole = safetensorsOf({ 'model.a': [4, 4], 'model.b': [30] }, { format: 'pt' });
    for (let at = 0; at < whole.length - 92; at++) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8((bytes[at] ?? 0) ^ 0x55, at);
      const result = await readHeader(await shop.file(bytes, 'flipped.bin')).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toHaveProperty('code', expect.stringMatching(/^ERR_MODEL_/));
      else expect((result as { tensors: unknown[] }).tensors.length).toBeGreaterThan(0);
    }
  });

  it.each([
    ['2^63', 2n ** 63n],
    ['2^64 - 1', 2n ** 64n - 1n],
    ['over the limit', BigInt(limits.safetensorsHeaderBytes + 1)],
    ['past the file', 1000n],
    ['one byte', 1n],
  ])('refuses a header length of %s', async (_, length) => {
    const bytes = safetensors({ a: entry('U8', [1], [0, 1]) }, 1);
    u64(length).copy(bytes);
    await corrupt(bytes, String(length), 'at byte 0');
  });

  it.each([
    ['overlapping tensors', { a: entry('U8', [4], [0, 4]), b: entry('U8', [4], [2, 6]) }, 6, 'overlap'],
    ['a hole', { a: entry('U8', [4], [0, 4]), b: entry('U8', [4], [6, 10]) }, 10, 'belong to no tensor'],
    ['bytes after the last tensor', { a: entry('U8', [4], [0, 4]) }, 9, 'after the last tensor'],
    ['offsets outside the file', { a: entry('U8', [40], [0, 40]) }, 4, 'outside the 4 bytes'],
    ['offsets in the wrong order', { a: entry('U8', [4], [4, 0]) }, 4, 'outside'],
    ['a wrong size', { a: entry('F32', [2], [0, 4]) }, 4, 'needs 8 bytes but has 4'],
    ['a negative dimension', { a: entry('U8', [-4], [0, 4]) }, 4, '-4, not a non-negative integer'],
    ['a fractional dimension', { a: entry('U8', [4.5], [0, 4]) }, 4, '4.5, not a non-negative integer'],
    ['a dimension of text', { a: entry('U8', ['4'], [0, 4]) }, 4, 'not a non-negative integer'],
    ['huge dimensions', { a: entry('F32', [2 ** 40, 2 ** 40], [0, 4]) }, 4, 'larger than any file'],
    ['huge dimensions beside a zero', { a: entry('F32', [0, 2 ** 40, 2 ** 40], [0, 0]) }, 0, 'larger than any file'],
    [
      'a dimension past 2^53',
      '{"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,4]}}',
      4,
      'larger than any file',
    ],
    ['too many dimensions', { a: entry('U8', Array(9).fill(1), [0, 1]) }, 1, 'more than 8 numbers'],
    ['an unknown dtype', { a: entry('F128', [1], [0, 16]) }, 16, 'unknown dtype "F128"'],
    ['a dtype that is no text', { a: entry(7, [1], [0, 1]) }, 1, 'expected """ before the dtype'],
    ['a missing shape', '{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1, 'lacks dtype, shape'],
    ['one data offset', { a: entry('U8', [1], [0]) }, 1, 'two data_offsets'],
    ['a tensor that is a number', { a: 7 }, 0, 'expected "{"'],
    ['a header that is a list', '[]', 0, 'known model format'],
    ['no JSON', '{not json at all', 0, 'expected """'],
    ['JSON without an end', '{"a":{"dtype":"U8"', 0, 'found the end'],
    ['text after the end', '{} x', 0, 'after the end of the header'],
    [
      'a name twice',
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      0,
      '"a" appears twice',
    ],
    ['a name with NUL', '{"a\\u0000b":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0, 'control characters'],
    ['metadata that is no object', '{"__metadata__":[]}', 0, '__metadata__'],
    ['a name without an end', '{"aaaa', 0, 'no closing quote'],
  ])('refuses %s', async (_, header, data, text) => {
    await corrupt(safetensors(header, data), text, 'at byte');
  });

  it('refuses a name of 100 kB and shows little of it', async () => {
    const error = await corrupt(safetensorsOf({ ['n'.repeat(100_000)]: [1] }), 'more than 1024');
    expect(error.message.length).toBeLessThan(1000);
  });

  it('refuses bytes that are no UTF-8', async () => {
    const bytes = safetensors('{"XX":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}', 0);
    bytes[10] = 0xff;
    await corrupt(bytes, 'valid UTF-8');
  });

  it('refuses deep nesting and millions of brackets without using up memory', async () => {
    await corrupt(safetensors(`{"a":{"x":${'['.repeat(5_000_000)}`, 0), 'nested deeper');
    await corrupt(safetensors(`{"__metadata__":{"x":${'{"a":'.repeat(1_000_000)}`, 0), 'nested deeper');
  });

  it('refuses more tensors than the limit', async () => {
    const entries = Array.from(
      { length: limits.tensors + 1 },
      (_, index) => `"${String(index)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
    );
    await corrupt(safetensors(`{${entries.join(',')}}`, 0), 'tensors');
  });

  it('stops a long parse when the signal is aborted, and rejects with its reason', async () => {
    const entries = Array.from(
      { length: 50_000 },
      (_, index) => `"${String(index)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
    );
    const path = await shop.file(safetensors(`{${entries.join(',')}}`, 0));
    const controller = new AbortController();
    const reason = new Error('enough');
    const reading = readHeader(path, { signal: controller.signal });
    setImmediate(() => {
      controller.abort(reason);
    });
    await expect(reading).rejects.toBe(reason);
    await expect(readHeader(path, { signal: controller.signal })).rejects.toBe(reason);
  });
});
