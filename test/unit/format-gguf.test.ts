import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readHeader } from '../../lib/model/format/index.js';
import {
  cuts,
  failure,
  gguf,
  type GgufParts,
  ggufKey,
  ggufString,
  u16,
  u32,
  u64,
  Workshop,
} from '../support/formatFixtures.js';

const shop = new Workshop();
beforeAll(() => shop.open());
afterAll(() => shop.close());

const type = { u8: 0, u32: 4, bool: 7, string: 8, array: 9, u64: 10 };
const f32 = 0;
const q4_0 = 2;
const q4_K = 12;

const corrupt = async (parts: GgufParts, ...texts: string[]) =>
  failure(readHeader(await shop.file(gguf(parts))), 'ERR_MODEL_CORRUPT', ...texts);
const unsupported = async (parts: GgufParts, ...texts: string[]) =>
  failure(readHeader(await shop.file(gguf(parts))), 'ERR_MODEL_UNSUPPORTED', ...texts);
const tensor = (
  given: Partial<{ name: string; dims: (number | bigint)[]; type: number; offset: number | bigint }> = {},
) => ({
  name: 'a',
  dims: [32],
  type: f32,
  offset: 0,
  ...given,
});

describe('GGUF', () => {
  it.each([2, 3])('reads version %i: tensors outermost dimension first, block types, metadata', async (version) => {
    const words = Array.from({ length: 100 }, (_, index) => ggufString(`word ${String(index)}`));
    const keys = [
      ggufKey('general.architecture', type.string, ggufString('flux')),
      ggufKey('general.alignment', type.u32, u32(64)),
      ggufKey('on', type.bool, Buffer.from([1])),
      ggufKey('small', type.array, Buffer.concat([u32(1), u64(3), Buffer.from([1, 2, 0xff])])),
      ggufKey('tokens', type.array, Buffer.concat([u32(type.string), u64(words.length), ...words])),
      ggufKey('large', type.array, Buffer.concat([u32(2), u64(65), ...Array.from({ length: 65 }, () => u16(1))])),
      ggufKey('past', type.u64, u64(2n ** 60n)),
    ];
    const tensors = [
      tensor({ dims: [64, 3], type: q4_0 }),
      tensor({ name: 'b', dims: [256, 2], type: q4_K, offset: 128 }),
    ];
    const bytes = gguf({ version, keys, tensors, data: 128 + 288, alignment: 64 });
    const read = await readHeader(await shop.file(bytes));
    const start = bytes.length - 128 - 288;
    expect(start % 64).toBe(0);
    expect(read.format).toBe('gguf');
    expect({ ...read.metadata }).toEqual({
      'general.architecture': 'flux',
      'general.alignment': 64,
      on: true,
      small: [1, 2, -1],
      tokens: { arrayOf: 'string', length: 100 },
      large: { arrayOf: 'u16', length: 65 },
      past: String(2n ** 60n),
    });
    expect(read.tensors).toEqual([
      { name: 'a', dtype: 'q4_0', shape: [3, 64], offset: start, bytes: 108 },
      { name: 'b', dtype: 'q4_K', shape: [2, 256], offset: start + 128, bytes: 288 },
    ]);
  });

  it('gives a typed error for every cut', async () => {
    const words = Array.from({ length: 80 }, () => ggufString('x'));
    const keys = [
      ggufKey('name', type.string, ggufString('value')),
      ggufKey('list', type.array, Buffer.concat([u32(type.string), u64(words.length), ...words])),
    ];
    const whole = gguf({ keys, tensors: [tensor(), tensor({ name: 'b', offset: 128 })], data: 256 });
    for (const length of cuts(whole.length)) {
      await failure(readHeader(await shop.file(whole.subarray(0, length), 'cut.bin')), 'ERR_MODEL_CORRUPT', 'at byte');
    }
  });

  it('gives a typed error or a header for every flipped byte of the head', async () => {
    const whole = gguf({ keys: [ggufKey('general.alignment', type.u32, u32(32))], tensors: [tensor()], data: 128 });
    let refused = 0;
    for (let at = 0; at < whole.length - 128; at++) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8((bytes[at] ?? 0) ^ 0xaa, at);
      const result = await readHeader(await shop.file(bytes, 'flipped.bin')).catch((error: unknown) => error);
      if (!(result instanceof Error)) continue;
      refused++;
      expect(result).toHaveProperty('code', expect.stringMatching(/^ERR_MODEL_/));
    }
    expect(refused).toBeGreaterThan(0);
  });

  it.each([
    ['a negative dimension', tensor({ dims: [-1] }), 'dimension 0 of tensor "a" is -1'],
    // ggml divides by it.
    ['a zero dimension', tensor({ dims: [32, 0] }), 'dimension 1 of tensor "a" is 0'],
    ['huge dimensions', tensor({ dims: [2 ** 40, 2 ** 40] }), 'larger than any file'],
    ['a dimension of 2^62', tensor({ dims: [2n ** 62n] }), 'dimension 0'],
    ['too many dimensions', tensor({ dims: Array<number>(9).fill(1) }), '9 dimensions'],
    ['rows that are no multiple of the block', tensor({ dims: [33], type: q4_0 }), 'not a multiple of the 32'],
    ['an unknown type', tensor({ type: 41 }), 'unknown ggml type 41'],
    ['an offset outside the file', tensor({ offset: 4096 }), 'cut short or the offset is wrong'],
    ['an offset of 2^64 - 1', tensor({ offset: 2n ** 64n - 1n }), 'the offset of tensor "a"'],
    ['an offset that is not aligned', tensor({ offset: 8 }), 'multiple of the alignment 32'],
    ['a name of 100 kB', tensor({ name: 'n'.repeat(100_000) }), 'the length of the name of tensor 0 is 100000'],
    ['an empty name', tensor({ name: '' }), 'bad name'],
  ])('refuses %s', async (_, bad, text) => {
    await corrupt({ tensors: [bad], data: 128 }, text, 'at byte');
  });

  it('refuses overlaps and names that appear twice, and allows holes', async () => {
    await corrupt({ tensors: [tensor(), tensor({ name: 'b', offset: 32 })], data: 256 }, '"a" and "b" overlap');
    await corrupt({ tensors: [tensor(), tensor({ offset: 128 })], data: 256 }, '"a" appears twice');
    const read = await readHeader(
      await shop.file(gguf({ tensors: [tensor(), tensor({ name: 'b', offset: 256 })], data: 384 })),
    );
    expect(read.tensors).toHaveLength(2);
  });

  it.each([
    // ggml aborts the process when it is not a u32.
    ['an alignment that is text', ggufKey('general.alignment', type.string, ggufString('32')), 'general.alignment'],
    ['an alignment of 0', ggufKey('general.alignment', type.u32, u32(0)), 'general.alignment'],
    ['an alignment of 48', ggufKey('general.alignment', type.u32, u32(48)), 'power of two'],
    ['an unknown value type', ggufKey('k', 99, u64(0)), 'unknown value type 99'],
    ['a boolean of 7', ggufKey('k', type.bool, Buffer.from([7])), 'boolean'],
    [
      'an unknown element type',
      ggufKey('k', type.array, Buffer.concat([u32(77), u64(1), u64(0)])),
      'unknown element type 77',
    ],
    [
      'an array of 2^60 numbers',
      ggufKey('k', type.array, Buffer.concat([u32(type.u8), u64(2n ** 60n)])),
      'the length of metadata "k"',
    ],
    [
      'an array of 2^60 strings',
      ggufKey('k', type.array, Buffer.concat([u32(type.string), u64(2n ** 60n)])),
      'the length of metadata "k"',
    ],
    ['a string of 2^62 bytes', ggufKey('k', type.string, u64(2n ** 62n)), 'the length of metadata "k"'],
    ['an empty key', ggufKey('', type.u8, Buffer.from([1])), 'is empty'],
  ])('refuses %s', async (_, key, text) => {
    await corrupt({ keys: [key], tensors: [tensor()], data: 128 }, text, 'at byte');
  });

  it('refuses a key that appears twice', async () => {
    const key = ggufKey('k', type.u8, Buffer.from([1]));
    await corrupt({ keys: [key, key] }, '"k" appears twice');
  });

  it('refuses counts that cannot be', async () => {
    const head = (tensors: bigint, keys: bigint) =>
      Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors), u64(keys), Buffer.alloc(100)]);
    const counts: [bigint, bigint][] = [
      [2n ** 63n, 0n],
      [0n, 2n ** 63n],
      [100_000n, 0n],
      [0n, 60_000n],
    ];
    for (const [tensors, keys] of counts) {
      await failure(readHeader(await shop.file(head(tensors, keys))), 'ERR_MODEL_CORRUPT', 'at byte');
    }
  });

  it('says that other versions, byte orders, removed types and nested arrays are not supported', async () => {
    await unsupported({ version: 1 }, 'GGUF version 1');
    await unsupported({ version: 4 }, 'GGUF version 4');
    await unsupported({ version: 0x03000000 }, 'big-endian');
    await unsupported({ tensors: [tensor({ type: 31 })], data: 128 }, 'q4_0_4_4');
    await unsupported(
      { keys: [ggufKey('k', type.array, Buffer.concat([u32(type.array), u64(0)]))] },
      'array of arrays',
    );
  });

  it('reads the head of a file of many gigabytes without reading the rest', async () => {
    const path = join(shop.directory, 'large.gguf');
    const elements = 2 ** 31;
    const head = gguf({ tensors: [tensor({ dims: [elements] })] });
    const handle = await open(path, 'w');
    await handle.write(head);
    await handle.truncate(head.length + elements * 4);
    await handle.close();
    const before = process.memoryUsage().rss;
    const read = await readHeader(path);
    expect(read.tensors[0]?.bytes).toBe(elements * 4);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});
