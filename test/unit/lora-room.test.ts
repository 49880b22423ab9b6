import { expect, it } from 'vitest';
import type { NativeDelta, NativeTarget } from '../../lib/native/index.js';
import type { LoraFile } from '../../lib/weights/loraFile.js';
import { type Change, needOf } from '../../lib/weights/room.js';
import { TensorIndex } from '../../lib/weights/tensorIndex.js';

const mib = 2 ** 20;
const [half, quantised, text] = [
  { name: 'model.diffusion_model.a.weight', type: 'f16', shape: [1024, 1024] },
  { name: 'model.diffusion_model.b.weight', type: 'q8_0', shape: [1024, 1024] },
  { name: 'cond_stage_model.transformer.c.weight', type: 'f32', shape: [512, 512] },
] as const;
const index = new TensorIndex([half, quantised, text]);
const target = (tensor: string, kind: NativeDelta['kind'] = 'lora'): NativeTarget => {
  const delta = { file: 0, kind, multiplier: 1, scale: 1, rowOffset: 0, rows: 1, rank: 0, flag: false, parts: {} };
  return { tensor, key: tensor, rows: 1, deltas: [delta] };
};
const all = [half, quantised, text].map(({ name }) => target(name));
const files = [{ stamp: `${String(3 * mib)}:1:1` } as LoraFile, { stamp: `${String(mib)}:1:2` } as LoraFile];
const change: Change = {
  ...{ backup: 'file', cacheBytes: 0, threads: 2, files: [] },
  ...{ targets: all, adapters: [], changed: new Map() },
};
const work = 64 * mib;

it('a merge with the checkpoint as backup takes its files and room to work', () => {
  expect(needOf({ ...change, files }, index)).toEqual({ host: 4 * mib + work, beside: new Map() });
});

it('copies of originals count by their stored types, on the host or beside their parts, once', () => {
  const [f16, q8, f32] = [2 * mib, (mib / 32) * 34, mib];
  expect(needOf({ ...change, backup: 'ram' }, index).host).toBe(f16 + q8 + f32 + work);
  const beside = new Map([
    ['diffusionModel', f16 + q8],
    ['textEncoder', f32],
  ]);
  expect(needOf({ ...change, backup: 'device' }, index)).toEqual({ host: work, beside });
  const changed = new Map([[half.name, target(half.name)]]);
  expect(needOf({ ...change, backup: 'ram', changed }, index).host).toBe(q8 + f32 + work);
});

it('merged tensors that are kept count as far as they may be kept', () => {
  const changed = new Map([[half.name, target(half.name)]]);
  expect(needOf({ ...change, changed, cacheBytes: 16 * mib }, index).host).toBe(2 * mib + work);
  expect(needOf({ ...change, changed, cacheBytes: mib }, index).host).toBe(mib + work);
});

it('kinds that look at a whole tensor have it as floats, one for each thread that has one', () => {
  const one = [target(half.name, 'oft'), target(text.name)];
  expect(needOf({ ...change, targets: one }, index).host).toBe(work + 2 * 4 * mib);
  const two = [target(half.name, 'oft'), target(text.name, 'full')];
  expect(needOf({ ...change, targets: two }, index).host).toBe(work + 2 * 2 * 4 * mib);
});

it('adapters at run time have their files, and their factors as floats on the host and on the device of their part', () => {
  const factor = { dtype: 'F16', shape: [16, 1024], offset: 0 };
  const adapters = [half, text].map(({ name }) => {
    const [delta] = target(name).deltas;
    if (delta === undefined) throw new Error('no delta');
    return { ...target(name), deltas: [{ ...delta, parts: { up: factor, down: factor } }] };
  });
  const floats = 2 * 16 * 1024 * 4;
  const beside = new Map([
    ['diffusionModel', floats],
    ['textEncoder', floats],
  ]);
  expect(needOf({ ...change, targets: [], adapters, files }, index)).toEqual({ host: 4 * mib + 2 * floats, beside });
  // What was merged before leaves, and may be kept.
  const back = { ...target(half.name), key: '', deltas: [] };
  const changed = new Map([[half.name, target(half.name)]]);
  const both = needOf({ ...change, targets: [back], adapters, changed, cacheBytes: 16 * mib }, index);
  expect(both.host).toBe(2 * mib + 2 * floats);
});

it('putting originals back takes nothing but what is kept of them', () => {
  const back = { ...target(half.name), key: '', deltas: [] };
  const changed = new Map([[half.name, target(half.name)]]);
  expect(needOf({ ...change, targets: [back], changed }, index)).toEqual({ host: 0, beside: new Map() });
  expect(needOf({ ...change, targets: [] }, index).host).toBe(0);
});
