/** One module of every kind and form, for comparison with the reference. */
import type { LoraInput } from '../../../lib/weights/index.js';
import { type LoraType, type Part, scalar, seeded } from './files.js';
import type { Parts, Weight } from './reference.js';

const random = seeded(7);
export const r = (shape: readonly number[], size = 0.1): Part => random(shape, size);

/** A module of a kind, and what to expect of it. */
export interface Case {
  readonly kind: string;
  /** Module by the model's own name, below the diffusion model. */
  readonly module: string;
  readonly parts: (weight: Weight) => Parts;
  /** What is special about it. */
  readonly as?: string;
  /** Its kind in the reference, and what it is there, where that is another. */
  readonly reference?: string;
  readonly exact?: (parts: Parts) => Parts;
  /** Beside the path; and the strength that it makes. Default: {@link multiplier}. */
  readonly input?: Omit<LoraInput, 'path'>;
  readonly strength?: number;
  /** Suffixes of keys that are not those of kohya and LyCORIS. */
  readonly keys?: Readonly<Record<string, string>>;
  readonly dtype?: LoraType;
}

export const multiplier = 0.7;
export const linear = 'input_blocks.1.1.transformer_blocks.0.attn1.to_q';
export const conv = 'input_blocks.1.0.in_layers.2';
const dim = (weight: Weight, axis: number): number => weight.shape[axis] ?? 1;

export const low = (weight: Weight, rank = 4): Parts => ({
  'lora_up.weight': r([dim(weight, 0), rank]),
  'lora_down.weight': r([rank, ...weight.shape.slice(1)]),
  alpha: scalar(2),
});

const loha = (weight: Weight): Parts => ({
  hada_w1_a: r([dim(weight, 0), 3]),
  hada_w1_b: r([3, dim(weight, 1)]),
  hada_w2_a: r([dim(weight, 0), 3]),
  hada_w2_b: r([3, dim(weight, 1)]),
  alpha: scalar(1),
});
const lokr = (weight: Weight, first: 'whole' | 'factors'): Parts => {
  const [rows, columns] = [dim(weight, 0) / 8, dim(weight, 1) / 4];
  return first === 'whole'
    ? { lokr_w1: r([8, 4]), lokr_w2_a: r([rows, 2]), lokr_w2_b: r([2, columns]), alpha: scalar(3) }
    : { lokr_w1_a: r([8, 2]), lokr_w1_b: r([2, 4]), lokr_w2: r([rows, columns]), alpha: scalar(3) };
};
const boft = (weight: Weight): Part => r([3, dim(weight, 0) / 8, 8, 8], 0.02);
const oft = (weight: Weight): Part => r([dim(weight, 0) / 8, 8, 8], 0.02);
/** Rotations, as far as what is next to the identity is one. */
const diag = (weight: Weight, size = 8): Part => {
  const { shape, data } = r([dim(weight, 0) / size, size, size], 0.1);
  return {
    shape,
    data: data.map((value, index) => value + (Math.floor(index / size) % size === index % size ? 1 : 0)),
  };
};
const scales = (weight: Weight): Part => ({
  shape: [dim(weight, 0), 1],
  data: r([dim(weight, 0)], 0.2).data.map((value) => 1 + value),
});
/** The first ranks, as zeros of the others. */
const firstRanks =
  (count: number) =>
  (parts: Parts): Parts => {
    const up = parts['lora_up.weight'] ?? scalar(NaN);
    const rank = up.shape[1] ?? 1;
    const data = up.data.map((value, index) => (index % rank < count ? value : 0));
    return { ...parts, 'lora_up.weight': { shape: up.shape, data } };
  };

/** What else changes a module: options, types of files, older and rarer forms. */
export const special: readonly Case[] = [
  { kind: 'lora', as: 'dyn', module: linear, parts: (weight) => low(weight), input: { dyn: 2 }, exact: firstRanks(2) },
  { kind: 'lora', as: 'dyn', module: conv, parts: (weight) => low(weight), input: { dyn: 1 }, exact: firstRanks(1) },
  {
    ...{ kind: 'lora', as: 'block weights', module: linear, parts: (weight: Weight) => low(weight) },
    ...{ input: { blockWeights: { IN01: 0.5, OUT06: 0.5, OUT07: 0.5 } }, strength: 0.35 },
  },
  {
    ...{ kind: 'lora', as: 'unetWeight', module: linear, parts: (weight: Weight) => low(weight) },
    ...{ input: { unetWeight: -0.4, textEncoderWeight: 9 }, strength: -0.4 },
  },
  { kind: 'lora', as: 'a file of f16', module: linear, parts: (weight) => low(weight), dtype: 'F16' },
  { kind: 'lora', as: 'a file of bf16', module: linear, parts: (weight) => low(weight), dtype: 'BF16' },
  { kind: 'loha', as: 'a file of bf16', module: linear, parts: loha, dtype: 'BF16' },
  // The norm is near 0.05 sqrt(8 width): the bounds are below and above it.
  ...['oft', 'boft'].flatMap((kind): Case[] => {
    const blocks = kind === 'oft' ? oft : boft;
    return [
      { kind, as: 'bound', module: linear, parts: (weight) => ({ oft_blocks: blocks(weight), alpha: scalar(1e-3) }) },
      { kind, as: 'wide bound', module: linear, parts: (weight) => ({ oft_blocks: blocks(weight), alpha: scalar(1) }) },
      {
        ...{ kind, as: 'rescale', module: linear, input: { weight: 1 }, strength: 1 },
        parts: (weight) => ({ oft_blocks: blocks(weight), rescale: scales(weight) }),
      },
    ];
  }),
  { kind: 'oft', as: 'oft_diag', module: linear, parts: (weight) => ({ oft_diag: diag(weight) }) },
  { kind: 'oft', as: 'oft_diag', module: conv, parts: (weight) => ({ oft_diag: diag(weight, 4) }) },
  // No bound: the norm of the rotations is far above alpha times the outputs.
  {
    ...{ kind: 'oft', as: 'oft_diag, alpha', module: linear },
    parts: (weight) => ({ oft_diag: diag(weight), alpha: scalar(1e-3) }),
  },
  {
    ...{ kind: 'oft', as: 'oft_diag, rescale', module: linear, input: { weight: 1 }, strength: 1 },
    parts: (weight) => {
      const { data } = scales(weight);
      return { oft_diag: diag(weight), rescale: { shape: [dim(weight, 0) / 8, 8, 1], data } };
    },
  },
  {
    ...{ kind: 'glora', as: 'older order', reference: 'glora, older order', module: linear },
    parts: (weight) => ({
      'a2.weight': r([dim(weight, 1), 3]),
      'a1.weight': r([3, dim(weight, 1)]),
      'b2.weight': r([dim(weight, 0), 3]),
      'b1.weight': r([3, dim(weight, 1)]),
      alpha: scalar(2),
    }),
  },
  { kind: 'lokr', as: 'w1 whole', module: linear, parts: (weight) => lokr(weight, 'whole') },
  { kind: 'lokr', as: 'w2 whole', module: linear, parts: (weight) => lokr(weight, 'factors') },
  {
    ...{ kind: 'loha', as: 'DoRA', module: linear },
    parts: (weight) => ({ ...loha(weight), dora_scale: r([1, dim(weight, 1)], 0.3) }),
  },
  {
    ...{ kind: 'lokr', as: 'DoRA', module: linear },
    parts: (weight) => ({ ...lokr(weight, 'whole'), dora_scale: r([dim(weight, 0), 1], 0.3) }),
  },
  {
    ...{ kind: 'dora', as: 'PEFT', reference: 'lora', module: linear },
    keys: {
      ...{ 'lora_up.weight': 'lora_B.weight', 'lora_down.weight': 'lora_A.weight' },
      dora_scale: 'lora_magnitude_vector',
    },
    parts: (weight) => {
      const { alpha: _, ...factors } = low(weight);
      return { ...factors, dora_scale: r([dim(weight, 0)], 0.3) };
    },
  },
];

/** The kinds. */
export const cases: readonly Case[] = [
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
