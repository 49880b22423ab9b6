import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { halfToNumber } from '../../lib/model/embedded/half.js';
import { liftedCheckpoint } from '../../lib/model/embedded/lift.js';
import { readNarrow } from '../../lib/model/embedded/narrow.js';
import { readHeader } from '../../lib/model/format/index.js';
import { ggufBytes, writeGguf } from '../support/synthetic/gguf.js';
import {
  syntheticKinds,
  syntheticTensors,
  writeLora,
  writeSynthetic,
  writeTensors,
  writeTruncated,
  writeWrongShapes,
} from '../support/synthetic/index.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nd-synthetic-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

async function read(path: string): Promise<{ header: Record<string, Entry>; data: Buffer }> {
  const bytes = await readFile(path);
  const start = 8 + Number(bytes.readBigUInt64LE(0));
  const { __metadata__: _, ...header } = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, Entry>;
  return { header, data: bytes.subarray(start) };
}

function parameters(kind: (typeof syntheticKinds)[number], prefix = ''): number {
  const count = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);
  return syntheticTensors(kind)
    .filter(({ name }) => name.startsWith(prefix))
    .reduce((sum, { shape }) => sum + count(shape), 0);
}

describe('synthetic checkpoints', () => {
  // Parameter counts of the published models, from their model cards and diffusers' `num_parameters()`.
  it.each([
    ['sd1', 'model.diffusion_model.', 859_520_964],
    ['sd1', 'cond_stage_model.', 123_060_480],
    ['sd1', 'first_stage_model.', 83_653_863],
    ['sd1-control', '', 361_279_120],
    ['sd2', 'model.diffusion_model.', 865_910_724],
    ['sdxl', 'model.diffusion_model.', 2_567_463_684],
    ['sdxl', 'conditioner.embedders.1.', 694_659_840],
    ['t5xxl', '', 4_762_310_656],
    ['umt5xxl', '', 5_680_910_336],
    ['sd3-medium', 'first_stage_model.', 83_819_683],
    ['flux2-klein', 'first_stage_model.', 84_046_115],
    ['z-image', 'model.diffusion_model.', 6_154_908_736],
    ['wan-1.3b', 'model.diffusion_model.', 1_418_996_800],
    ['wan-1.3b', 'first_stage_model.', 126_892_531],
  ] as const)('%s has as many parameters under %s as the real one', (kind, prefix, expected) => {
    expect(parameters(kind, prefix)).toBe(expected);
  });

  it('have no name twice', () => {
    for (const kind of syntheticKinds) {
      const names = syntheticTensors(kind).map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  it('have in the tiny kind the tensors of the embedded model, name by name and shape by shape', async () => {
    const shapes = (tensors: readonly { name: string; shape: readonly number[] }[]): unknown =>
      Object.fromEntries(tensors.map(({ name, shape }) => [name, shape]));
    const synthetic = syntheticTensors('sd1-tiny').filter(({ name }) => !name.startsWith('first_stage_model.'));
    expect(shapes(synthetic)).toEqual(shapes(liftedCheckpoint(await readNarrow())));
  });

  it('are whole safetensors files, the same for a seed and different for another', async () => {
    const only = (name: string): boolean => name.startsWith('first_stage_model.decoder.up.0.');
    for (const [name, seed] of [
      ['a', 7],
      ['b', 7],
      ['c', 8],
    ] as const)
      await writeSynthetic('sd1', at(name), { seed, only });
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => read(at(name))));
    expect(a?.data.equals(b?.data ?? Buffer.alloc(0))).toBe(true);
    expect(a?.data.equals(c?.data ?? Buffer.alloc(0))).toBe(false);
    const spans = Object.values(a?.header ?? {}).map((entry) => entry.data_offsets);
    spans.forEach(([begin], i) => {
      expect(begin).toBe(i === 0 ? 0 : spans[i - 1]?.[1]);
    });
    expect(spans.at(-1)?.[1]).toBe(a?.data.length);
  });

  it('have values that keep activations finite', async () => {
    const fanIn = 1152;
    const values = { fanIn };
    await writeTensors(
      at('m'),
      [
        { name: 'w', shape: [600, 128, 3, 3], values },
        { name: 'n', shape: [5], values: { constant: 1 } },
      ],
      3,
    );
    const { header, data } = await read(at('m'));
    const end = header['w']?.data_offsets[1] ?? NaN;
    const weights = Array.from({ length: end / 2 }, (_, i) => halfToNumber(data.readUInt16LE(2 * i)));
    const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length;
    const deviation = Math.sqrt(weights.reduce((sum, w) => sum + (w - mean) ** 2, 0) / weights.length);
    const wanted = 0.5 / Math.sqrt(fanIn);
    expect(deviation / wanted).toBeGreaterThan(0.7);
    expect(deviation / wanted).toBeLessThan(1.42);
    expect(Math.abs(mean)).toBeLessThan(deviation / 50);
    expect(weights.every(Number.isFinite)).toBe(true);
    expect(Array.from({ length: 5 }, (_, i) => halfToNumber(data.readUInt16LE(end + 2 * i)))).toEqual([1, 1, 1, 1, 1]);
  });
});

describe.each([
  ['q8_0', 34],
  ['q4_0', 18],
] as const)('synthetic GGUF files in %s', (type, blockBytes) => {
  const tensors = [
    { name: 'norm', shape: [5], values: { constant: 1 } },
    { name: 'matrix', shape: [3000, 320], values: { fanIn: 320 } },
    { name: 'odd', shape: [4, 33], values: { fanIn: 33 } },
    { name: 'conv3d', shape: [6, 4, 1, 2, 2], values: { fanIn: 16 } },
    { name: 'after', shape: [1, 64], values: { fanIn: 64 } },
  ] as const;

  it('have the types, shapes and places that the header says', async () => {
    const bytes = await writeGguf(at('g.gguf'), tensors, type, 1);
    expect((await readFile(at('g.gguf'))).length).toBe(bytes);
    const header = await readHeader(at('g.gguf'));
    expect(header.format).toBe('gguf');
    expect(header.tensors.map(({ name, dtype, shape }) => [name, dtype.toLowerCase(), shape])).toEqual([
      ['norm', 'f16', [5]],
      ['matrix', type, [3000, 320]],
      ['odd', 'f16', [4, 33]],
      ['conv3d', 'f16', [24, 1, 2, 2]],
      ['after', 'f16', [1, 64]],
    ]);
    expect(ggufBytes(tensors, type)).toBe(2 * (5 + 4 * 33 + 96 + 64) + 3000 * 10 * blockBytes);
  });

  it('have values around zero of the wanted deviation, the same for a seed', async () => {
    const [, matrix] = tensors;
    for (const [name, seed] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
    ] as const)
      await writeGguf(at(name), [matrix], type, seed);
    const [a, b, c] = await Promise.all(['a', 'b', 'c'].map((name) => readFile(at(name))));
    expect(a?.equals(b ?? Buffer.alloc(0))).toBe(true);
    expect(a?.equals(c ?? Buffer.alloc(0))).toBe(false);
    const data = (a ?? Buffer.alloc(0)).subarray(-3000 * 10 * blockBytes);
    const values: number[] = [];
    for (let block = 0; block < data.length; block += blockBytes) {
      const scale = halfToNumber(data.readUInt16LE(block));
      for (const byte of data.subarray(block + 2, block + blockBytes)) {
        if (type === 'q8_0') values.push(scale * ((byte << 24) >> 24));
        else values.push(scale * ((byte & 15) - 8), scale * ((byte >> 4) - 8));
      }
    }
    const wanted = 2 ** Math.round(Math.log2(0.5 / Math.sqrt(320)));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    expect(values).toHaveLength(3000 * 320);
    expect(deviation / wanted).toBeCloseTo(1, 1);
    expect(Math.abs(mean)).toBeLessThan(deviation / 50);
  });
});

describe('files for error tests', () => {
  it('end early', async () => {
    await writeLora(at('lora'), { seed: 1 });
    await writeTruncated(at('lora'), at('cut'), 5000);
    const { header, data } = await read(at('cut'));
    const promised = Math.max(...Object.values(header).map((entry) => entry.data_offsets[1]));
    expect(data.length).toBeLessThan(promised);
  });

  it('have the right names and the wrong shapes', async () => {
    await writeWrongShapes('sd1', at('wrong'));
    const { header } = await read(at('wrong'));
    expect(Object.keys(header)).toHaveLength(syntheticTensors('sd1').length);
    expect(header['model.diffusion_model.input_blocks.0.0.weight']?.shape).toEqual([8, 4, 3, 3]);
  });

  it('are a LoRA whose pairs fit', async () => {
    await writeLora(at('lora'), { seed: 1, rank: 2, alphaOne: true });
    const { header } = await read(at('lora'));
    const downs = Object.keys(header).filter((name) => name.endsWith('.lora_down.weight'));
    expect(downs.length).toBeGreaterThan(0);
    for (const name of downs) {
      expect(header[name]?.shape[0]).toBe(2);
      expect(header[name.replace('lora_down', 'lora_up')]?.shape[1]).toBe(2);
      expect(header[name.replace('lora_down.weight', 'alpha')]?.shape).toEqual([]);
    }
  });
});
