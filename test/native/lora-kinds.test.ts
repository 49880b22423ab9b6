import { describe, expect, it } from 'vitest';
import { type Case, cases, conv, linear, low, multiplier, r, special } from '../support/lora/cases.js';
import { scalar, storedAs, writeLora } from '../support/lora/files.js';
import { referenceDelta } from '../support/lora/reference.js';
import { unitAt } from '../support/lora/stored.js';
import { type RawWeights, useRawWeights } from '../support/lora/weights.js';
import { useScratch } from '../support/scratch.js';
import { writeSynthetic } from '../support/synthetic/index.js';

// One model with every type in its own blocks.
const fixture = useRawWeights({
  tensorTypeRules:
    'input_blocks\\.1\\.=f32,output_blocks\\.7\\.=bf16,input_blocks\\.4\\.=q8_0,layers\\.0\\.self_attn\\.q_proj=q4_K',
});
const scratch = useScratch(64 * 2 ** 20);
// A transformer that keeps projections in one tensor.
const fused = useRawWeights({
  load: { withoutTextEncoder: true, withoutVae: true },
  checkpoint: async () => {
    const path = scratch.path('flux.safetensors');
    await writeSynthetic('flux-narrow', path, { seed: 5, only: (name) => name.startsWith(unet) });
    return path;
  },
});

const unet = 'model.diffusion_model.';
const attention = (block: string): string => `${block}.1.transformer_blocks.0.attn1.to_q`;
const from = (module: string, block: string): string => module.replace('input_blocks.1.', `${block}.`);

/** What a module changes: the rows of a tensor, from the first of them; and its name in a file. */
interface Place {
  readonly weights: RawWeights;
  readonly tensor: string;
  readonly base: string;
  readonly first?: number;
  readonly rows?: number;
}

/** Largest distance from the reference, in units of the type; and that nothing else has changed. */
async function distance(entry: Case, { weights, tensor, base, first = 0, rows }: Place): Promise<number> {
  const { type, shape } = weights.info(tensor);
  const all = await weights.numbers(tensor);
  const [height = 1, ...inner] = shape;
  const width = all.length / height;
  const [begin, end] = [first * width, (first + (rows ?? height)) * width];
  const weight = { shape: [rows ?? height, ...inner], data: all.slice(begin, end) };
  const before = await weights.bytes(tensor);
  const { dtype = 'F32', keys = {} } = entry;
  const made = entry.parts(weight);
  const path = writeLora(
    scratch.path('kind.safetensors'),
    Object.fromEntries(Object.entries(made).map(([part, value]) => [`${base}.${keys[part] ?? part}`, value])),
    {},
    dtype,
  );
  const report = await weights.set([{ path, weight: multiplier, ...entry.input }]);
  expect(report.files[0]).toMatchObject({ matched: 1, unmatchedKeys: [], tensors: 1 });
  expect(report.files[0]?.kinds).toContain(entry.kind);
  const merged = await weights.numbers(tensor);
  const [after, outside] = [merged.slice(begin, end), [...merged.slice(0, begin), ...merged.slice(end)]];
  expect(outside).toEqual([...all.slice(0, begin), ...all.slice(end)]);
  const stored = Object.fromEntries(Object.entries(made).map(([part, value]) => [part, storedAs(dtype, value)]));
  const parts = entry.exact?.(stored) ?? stored;
  const delta = referenceDelta(weight, parts, entry.reference ?? entry.kind, entry.strength ?? multiplier);
  const largest = delta.reduce((found, value) => Math.max(found, Math.abs(value)), 0);
  let most = 0;
  let [moved, expected] = [0, 0];
  for (const [index, value] of after.entries()) {
    const exact = (weight.data[index] ?? NaN) + (delta[index] ?? NaN);
    if (value !== weight.data[index]) moved++;
    if (Math.abs(delta[index] ?? 0) > 2 * unitAt(type, Math.max(Math.abs(exact), Math.abs(weight.data[index] ?? 0))))
      expected++;
    // Sums of narrow types are made in f32: where weight and change, or the terms of a change, cancel, its rounding is left.
    const summed = Math.max(Math.abs(weight.data[index] ?? 0), largest);
    const unit = Math.max(unitAt(type, exact), type === 'f32' ? 0 : 8 * unitAt('f32', summed));
    most = Math.max(most, Math.abs(value - exact) / unit);
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
  const here = [...cases, ...special]
    .map((entry, index) => ({ as: '', ...entry, index }))
    .filter(({ module }) => module === linear || type === 'f32');
  it.each(here)(
    '$kind of $module ($index, $as): within one unit in the last place of a reference in doubles',
    async (entry) => {
      const name = from(entry.module, block);
      const tensor = `${unet}${name}.weight`;
      expect(fixture.weights.info(tensor).type).toBe(entry.module === conv ? 'f16' : type);
      const base = `lora_unet_${name.replaceAll('.', '_')}`;
      expect(await distance(entry, { weights: fixture.weights, tensor, base })).toBeLessThanOrEqual(1);
    },
  );
});

describe.each([
  ['single_transformer_blocks.1.attn.to_q', 'single_blocks.1.linear1', 0, 256],
  ['single_transformer_blocks.1.attn.to_v', 'single_blocks.1.linear1', 512, 256],
  ['single_transformer_blocks.1.proj_mlp', 'single_blocks.1.linear1', 768, 1024],
  ['transformer_blocks.0.attn.add_k_proj', 'double_blocks.0.txt_attn.qkv', 256, 256],
] as const)('%s, rows of %s', (module, name, first, rows) => {
  const here = [...cases, ...special].filter((entry) => entry.module === linear && !entry.input?.blockWeights);
  it.each(here.map((entry, index) => ({ as: '', ...entry, index })))('$kind ($index, $as)', async (entry) => {
    const place = { weights: fused.weights, tensor: `${unet}${name}.weight`, base: `transformer.${module}` };
    expect(await distance(entry, { ...place, first, rows })).toBeLessThanOrEqual(1);
  });
});

it('a modulation that diffusers has the other way round', async () => {
  const { weights } = fused;
  const tensor = `${unet}final_layer.adaLN_modulation.1`;
  const names = [`${tensor}.weight`, `${tensor}.bias`] as const;
  const before = [await weights.numbers(names[0]), await weights.numbers(names[1])] as const;
  const shape = [512, 256];
  const [diff, bias] = [r(shape), r([512])];
  const base = 'transformer.norm_out.linear';
  const full = writeLora(scratch.path('swap.safetensors'), { [`${base}.diff`]: diff, [`${base}.diff_b`]: bias });
  const factors = low({ shape, data: before[0] });
  const plain = writeLora(
    scratch.path('low.safetensors'),
    Object.fromEntries(Object.entries(factors).map(([part, value]) => [`${base}.${part}`, value])),
  );
  const expected = (delta: ArrayLike<number>, of: Float64Array): number[] =>
    [...of].map((value, index) => value + (delta[(index + of.length / 2) % of.length] ?? NaN));
  const compare = async (name: string, exact: readonly number[]): Promise<void> => {
    const { type } = weights.info(name);
    for (const [index, value] of (await weights.numbers(name)).entries())
      expect(Math.abs(value - (exact[index] ?? NaN))).toBeLessThanOrEqual(unitAt(type, exact[index] ?? NaN));
  };
  expect((await weights.set([{ path: full }])).files[0]).toMatchObject({ matched: 1, unmatchedKeys: [] });
  await compare(names[0], expected(diff.data, before[0]));
  await compare(names[1], expected(bias.data, before[1]));
  expect((await weights.set([{ path: plain }])).files[0]).toMatchObject({ matched: 1, unmatchedKeys: [] });
  await compare(names[0], expected(referenceDelta({ shape, data: before[0] }, factors, 'lora', 1), before[0]));
  await weights.set([]);
});

it('biases of fused projections, and the bias of PEFT: alpha / rank of it', async () => {
  const { weights } = fused;
  const tensor = `${unet}single_blocks.0.linear1.bias`;
  const before = await weights.numbers(tensor);
  const [bias, diff] = [r([256]), r([1024])];
  const base = 'transformer.single_transformer_blocks.0';
  const path = writeLora(scratch.path('bias.safetensors'), {
    [`${base}.attn.to_k.lora_A.weight`]: r([4, 256]),
    [`${base}.attn.to_k.lora_B.weight`]: r([256, 4]),
    [`${base}.attn.to_k.lora_B.bias`]: bias,
    [`${base}.attn.to_k.alpha`]: scalar(2),
    [`${base}.proj_mlp.diff_b`]: diff,
  });
  const report = await weights.set([{ path, weight: multiplier }]);
  expect(report.files[0]).toMatchObject({ matched: 2, unmatchedKeys: [], tensors: 2 });
  const { type } = weights.info(tensor);
  for (const [index, value] of (await weights.numbers(tensor)).entries()) {
    const own =
      index >= 768 ? diff.data[index - 768] : index >= 256 && index < 512 ? (bias.data[index - 256] ?? NaN) / 2 : 0;
    const exact = (before[index] ?? NaN) + multiplier * (own ?? NaN);
    expect(Math.abs(value - exact)).toBeLessThanOrEqual(unitAt(type, exact));
  }
  await weights.set([]);
  expect(await weights.numbers(tensor)).toEqual(before);
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

it('q4_K: within a step of the block, and half of one on average', async () => {
  const { weights } = fixture;
  const module = 'text_model.encoder.layers.0.self_attn.q_proj';
  const tensor = `cond_stage_model.transformer.${module}.weight`;
  const { type, shape } = weights.info(tensor);
  expect(type).toBe('q4_K');
  const data = await weights.numbers(tensor);
  const parts = low({ shape, data });
  const tensors = Object.entries(parts).map(([part, value]) => [`text_encoder.${module}.${part}`, value] as const);
  await weights.set([{ path: writeLora(scratch.path('q4.safetensors'), Object.fromEntries(tensors)) }]);
  const after = await weights.numbers(tensor);
  const delta = referenceDelta({ shape, data }, parts, 'lora', 1);
  let seen = 0;
  for (let block = 0; block < after.length; block += 256) {
    const exact = Array.from({ length: 256 }, (_, i) => (data[block + i] ?? NaN) + (delta[block + i] ?? NaN));
    // 16 values over the span of each 32, zero among them. Spans are stored in 6 bits of the widest.
    const spans = Array.from({ length: 8 }, (_, j) => exact.slice(32 * j, 32 * j + 32));
    const step = Math.max(...spans.map((part) => Math.max(0, ...part) - Math.min(0, ...part))) / 15;
    const errors = exact.map((value, i) => Math.abs((after[block + i] ?? NaN) - value));
    expect(Math.max(...errors)).toBeLessThanOrEqual(1.25 * step);
    expect(Math.sqrt(errors.reduce((sum, error) => sum + error * error, 0) / 256)).toBeLessThanOrEqual(0.5 * step);
    if (Math.max(...delta.slice(block, block + 256).map(Math.abs)) > 1.25 * step) seen++;
  }
  // Blocks that could not hold without the LoRA.
  expect(seen).toBeGreaterThan(after.length / 256 / 2);
  await weights.set([]);
  expect(await weights.numbers(tensor)).toEqual(data);
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
