import { describe, expect, it } from 'vitest';
import { type Part, scalar, seeded, writeLora } from '../support/lora/files.js';
import { type Parts, referenceDelta, type Weight } from '../support/lora/reference.js';
import { unitAt } from '../support/lora/stored.js';
import { useRawWeights } from '../support/lora/weights.js';
import { useScratch } from '../support/scratch.js';

// One model with every type in its own blocks.
const fixture = useRawWeights({
  tensorTypeRules: 'input_blocks\\.1\\.=f32,output_blocks\\.7\\.=bf16,input_blocks\\.4\\.=q8_0',
});
const scratch = useScratch(64 * 2 ** 20);

const unet = 'model.diffusion_model.';
const attention = (block: string): string => `${block}.1.transformer_blocks.0.attn1.to_q`;
const random = seeded(7);
const r = (shape: readonly number[], size = 0.1): Part => random(shape, size);

interface Case {
  readonly kind: string;
  /** Module by the model's own name, below the diffusion model. */
  readonly module: string;
  readonly parts: (weight: Weight) => Parts;
}

const linear = 'input_blocks.1.1.transformer_blocks.0.attn1.to_q';
const conv = 'input_blocks.1.0.in_layers.2';
const dim = (weight: Weight, axis: number): number => weight.shape[axis] ?? 1;

const low = (weight: Weight, rank = 4): Parts => ({
  'lora_up.weight': r([dim(weight, 0), rank]),
  'lora_down.weight': r([rank, ...weight.shape.slice(1)]),
  alpha: scalar(2),
});

const cases: readonly Case[] = [
  { kind: 'lora', module: linear, parts: (weight) => low(weight) },
  { kind: 'lora', module: conv, parts: (weight) => low(weight) },
  {
    kind: 'lora',
    module: conv,
    parts: (weight) => ({
      'lora_up.weight': r([dim(weight, 0), 4, 1, 1]),
      'lora_mid.weight': r([4, 4, 3, 3]),
      'lora_down.weight': r([4, dim(weight, 1), 1, 1]),
      alpha: scalar(4),
    }),
  },
  {
    kind: 'loha',
    module: linear,
    parts: (weight) => ({
      hada_w1_a: r([dim(weight, 0), 3]),
      hada_w1_b: r([3, dim(weight, 1)]),
      hada_w2_a: r([dim(weight, 0), 3]),
      hada_w2_b: r([3, dim(weight, 1)]),
      alpha: scalar(1),
    }),
  },
  {
    kind: 'loha',
    module: conv,
    parts: (weight) => ({
      hada_t1: r([3, 3, 3, 3]),
      hada_w1_a: r([3, dim(weight, 0)]),
      hada_w1_b: r([3, dim(weight, 1)]),
      hada_t2: r([3, 3, 3, 3]),
      hada_w2_a: r([3, dim(weight, 0)]),
      hada_w2_b: r([3, dim(weight, 1)]),
    }),
  },
  {
    kind: 'lokr',
    module: linear,
    parts: (weight) => ({
      lokr_w1: r([8, 4]),
      lokr_w2: r([dim(weight, 0) / 8, dim(weight, 1) / 4]),
      alpha: scalar(5),
    }),
  },
  {
    kind: 'lokr',
    module: linear,
    parts: (weight) => ({
      lokr_w1_a: r([8, 2]),
      lokr_w1_b: r([2, 4]),
      lokr_w2_a: r([dim(weight, 0) / 8, 2]),
      lokr_w2_b: r([2, dim(weight, 1) / 4]),
      alpha: scalar(1),
    }),
  },
  {
    kind: 'lokr',
    module: conv,
    parts: (weight) => ({
      lokr_w1: r([8, 4]),
      lokr_t2: r([2, 2, 3, 3]),
      lokr_w2_a: r([2, dim(weight, 0) / 8]),
      lokr_w2_b: r([2, dim(weight, 1) / 4]),
      alpha: scalar(1),
    }),
  },
  { kind: 'full', module: linear, parts: (weight) => ({ diff: r(weight.shape, 0.01) }) },
  { kind: 'full', module: conv, parts: (weight) => ({ diff: r(weight.shape, 0.01) }) },
  { kind: 'ia3', module: linear, parts: (weight) => ({ weight: r([dim(weight, 0), 1]), on_input: scalar(0) }) },
  { kind: 'ia3', module: linear, parts: (weight) => ({ weight: r([1, dim(weight, 1)]), on_input: scalar(1) }) },
  {
    kind: 'glora',
    module: linear,
    parts: (weight) => ({
      'a1.weight': r([dim(weight, 1), 3]),
      'a2.weight': r([3, dim(weight, 1)]),
      'b1.weight': r([dim(weight, 0), 3]),
      'b2.weight': r([3, dim(weight, 1)]),
      alpha: scalar(2),
    }),
  },
  { kind: 'oft', module: linear, parts: (weight) => ({ oft_blocks: r([dim(weight, 0) / 8, 8, 8], 0.02) }) },
  {
    kind: 'oft',
    module: conv,
    parts: (weight) => ({ oft_blocks: r([dim(weight, 0) / 8, 8, 8], 0.02) }),
  },
  { kind: 'boft', module: linear, parts: (weight) => ({ oft_blocks: r([3, dim(weight, 0) / 8, 8, 8], 0.02) }) },
  { kind: 'lora', module: linear, parts: (weight) => ({ ...low(weight), dora_scale: r([1, dim(weight, 1)], 0.3) }) },
  { kind: 'lora', module: linear, parts: (weight) => ({ ...low(weight), dora_scale: r([dim(weight, 0), 1], 0.3) }) },
  {
    kind: 'lora',
    module: conv,
    parts: (weight) => ({ ...low(weight), dora_scale: r([1, dim(weight, 1), 1, 1], 0.3) }),
  },
];

const from = (module: string, block: string): string => module.replace('input_blocks.1.', `${block}.`);
const multiplier = 0.7;

/** Largest distance from the reference, in units of the type. */
async function distance(kind: string, name: string, parts: (weight: Weight) => Parts): Promise<number> {
  const { weights } = fixture;
  const tensor = `${unet}${name}.weight`;
  const { type, shape } = weights.info(tensor);
  const weight = { shape, data: await weights.numbers(tensor) };
  const before = await weights.bytes(tensor);
  const made = parts(weight);
  const base = `lora_unet_${name.replaceAll('.', '_')}`;
  const path = writeLora(
    scratch.path('kind.safetensors'),
    Object.fromEntries(Object.entries(made).map(([part, value]) => [`${base}.${part}`, value])),
  );
  const report = await weights.set([{ path, weight: multiplier }]);
  expect(report.files[0]).toMatchObject({ matched: 1, unmatchedKeys: [], tensors: 1 });
  expect(report.files[0]?.kinds).toContain(kind);
  const after = await weights.numbers(tensor);
  const delta = referenceDelta(weight, made, kind, multiplier);
  let most = 0;
  let [moved, expected] = [0, 0];
  for (const [index, value] of after.entries()) {
    const exact = (weight.data[index] ?? NaN) + (delta[index] ?? NaN);
    if (value !== weight.data[index]) moved++;
    if (Math.abs(delta[index] ?? 0) > 2 * unitAt(type, Math.max(Math.abs(exact), Math.abs(weight.data[index] ?? 0))))
      expected++;
    most = Math.max(most, Math.abs(value - exact) / unitAt(type, exact));
  }
  // Kinds that multiply leave the zeros of the embedded model alone.
  expect(expected).toBeGreaterThan(after.length / 50);
  expect(moved).toBeGreaterThanOrEqual(expected);
  await weights.set([]);
  expect(Buffer.from(await weights.bytes(tensor)).equals(before)).toBe(true);
  return most;
}

describe.each([
  ['f32', 'input_blocks.1'],
  ['bf16', 'output_blocks.7'],
  ['f16', 'output_blocks.6'],
])('%s', (type, block) => {
  // The engine keeps kernels of convolutions in 16 bits, whatever the type: they are tested once.
  const here = cases
    .map((entry, index) => ({ ...entry, index }))
    .filter(({ module }) => module === linear || type === 'f32');
  it.each(here)(
    '$kind of $module ($index): within one unit in the last place of a reference in doubles',
    async ({ kind, module, parts }) => {
      const name = from(module, block);
      const stored = module === conv ? 'f16' : type;
      expect(fixture.weights.info(`${unet}${name}.weight`).type).toBe(stored);
      expect(await distance(kind, name, parts)).toBeLessThanOrEqual(1);
    },
  );
});

it('q8_0: within one step of the block', async () => {
  const { weights } = fixture;
  const name = attention('input_blocks.4');
  const tensor = `${unet}${name}.weight`;
  expect(weights.info(tensor).type).toBe('q8_0');
  const data = await weights.numbers(tensor);
  const parts = low({ shape: weights.info(tensor).shape, data });
  const base = `lora_unet_${name.replaceAll('.', '_')}`;
  const path = writeLora(
    scratch.path('q8.safetensors'),
    Object.fromEntries(Object.entries(parts).map(([part, value]) => [`${base}.${part}`, value])),
  );
  await weights.set([{ path }]);
  const after = await weights.numbers(tensor);
  const delta = referenceDelta({ shape: weights.info(tensor).shape, data }, parts, 'lora', 1);
  for (let block = 0; block < after.length; block += 32) {
    const exact = Array.from({ length: 32 }, (_, i) => (data[block + i] ?? NaN) + (delta[block + i] ?? NaN));
    const step = Math.max(...exact.map(Math.abs)) / 127;
    for (const [i, value] of exact.entries()) {
      // Half a step of rounding, and the scale's own rounding to 11 bits on up to 127 steps.
      expect(Math.abs((after[block + i] ?? NaN) - value)).toBeLessThanOrEqual(step);
    }
  }
  await weights.set([]);
});

it('biases, norms and the order of two files', async () => {
  const { weights } = fixture;
  const block = `${unet}input_blocks.7.1`;
  const [norm, bias] = [`${block}.norm.weight`, `${block}.proj_in.bias`];
  const [width = 0] = weights.info(norm).shape;
  const names = { norm: 'lora_unet_input_blocks_7_1_norm', proj: 'lora_unet_input_blocks_7_1_proj_in' };
  const one = writeLora(scratch.path('one.safetensors'), {
    [`${names.norm}.w_norm`]: r([width]),
    [`${names.norm}.b_norm`]: r([width]),
    [`${names.proj}.diff_b`]: r([width]),
  });
  const two = writeLora(scratch.path('two.safetensors'), {
    [`${names.norm}.w_norm`]: r([width], 1e-4),
    [`${names.proj}.diff_b`]: r([width], 1e3),
  });
  const before = [await weights.numbers(norm), await weights.numbers(bias)];
  const report = await weights.set([{ path: one, weight: 0.5 }, { path: two }]);
  expect(report.tensors).toBe(3);
  const forwards = [await weights.bytes(norm), await weights.bytes(bias)];
  await weights.set([{ path: two }, { path: one, weight: 0.5 }]);
  expect(await weights.bytes(norm)).toEqual(forwards[0]);
  expect(await weights.bytes(bias)).toEqual(forwards[1]);
  await weights.set([]);
  await weights.set([{ path: two }]);
  await weights.set([{ path: two }, { path: one, weight: 0.5 }]);
  expect(await weights.bytes(bias)).toEqual(forwards[1]);
  await weights.set([]);
  expect([await weights.numbers(norm), await weights.numbers(bias)]).toEqual(before);
});
