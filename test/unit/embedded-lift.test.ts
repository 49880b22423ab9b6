import { beforeAll, describe, expect, it } from 'vitest';
import { halfToNumber } from '../../lib/model/embedded/half.js';
import { liftedCheckpoint, liftedTaesd } from '../../lib/model/embedded/lift.js';
import { ldmUnetName } from '../../lib/model/embedded/names.js';
import { type NarrowWeights, readNarrow } from '../../lib/model/embedded/narrow.js';
import { checkpointBytes, checkpointSha256, taesdBytes, taesdSha256 } from '../../lib/model/embedded/pins.js';
import { liftedMetadata } from '../../lib/model/embedded/store.js';
import { type StreamedTensor, writeSafetensors } from '../../lib/model/safetensors/index.js';

let narrow: NarrowWeights;
let checkpoint: ReadonlyMap<string, StreamedTensor>;
let taesd: ReadonlyMap<string, StreamedTensor>;

beforeAll(async () => {
  narrow = await readNarrow();
  checkpoint = new Map(liftedCheckpoint(narrow).map((tensor) => [tensor.name, tensor]));
  taesd = new Map(liftedTaesd(narrow).map((tensor) => [tensor.name, tensor]));
});

function valuesOf(
  tensors: ReadonlyMap<string, StreamedTensor>,
  name: string,
): { shape: readonly number[]; values: number[] } {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`no tensor ${name}`);
  const out = new Uint16Array(tensor.shape.reduce((a, b) => a * b, 1)).fill(0x7e00);
  tensor.fill(new Uint8Array(out.buffer), 0, tensor.shape[0] ?? 1);
  return { shape: tensor.shape, values: Array.from(out, halfToNumber) };
}

function narrowValues(name: string): { shape: readonly number[]; values: number[] } {
  const tensor = narrow.tensors.get(name);
  if (tensor === undefined) throw new Error(`no narrow tensor ${name}`);
  return { shape: tensor.shape, values: Array.from(tensor.data, halfToNumber) };
}

/** y = W x for a weight [out, in]. */
function apply(weight: { shape: readonly number[]; values: number[] }, x: readonly number[]): number[] {
  const [out = 0, width = 0] = weight.shape;
  return Array.from({ length: out }, (_, o) =>
    x.reduce((sum, value, i) => sum + (weight.values[o * width + i] ?? NaN) * value, 0),
  );
}

const repeat = (values: readonly number[], ratio: number): number[] =>
  values.flatMap((v) => Array<number>(ratio).fill(v));
const ramp = (length: number): number[] => Array.from({ length }, (_, i) => Math.sin(i * 1.7) + 0.1);

function maxDifference(a: readonly number[], b: readonly number[]): number {
  expect(a).toHaveLength(b.length);
  return a.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('the lifted checkpoint', () => {
  it('is the pinned one, byte by byte', async () => {
    const discard = { write: (_: Uint8Array, __: number, length: number) => Promise.resolve({ bytesWritten: length }) };
    const lifted = await writeSafetensors(discard, liftedCheckpoint(narrow), { metadata: liftedMetadata });
    expect(lifted).toEqual({ bytes: checkpointBytes, sha256: checkpointSha256 });
    const small = await writeSafetensors(discard, liftedTaesd(narrow), { metadata: liftedMetadata });
    expect(small).toEqual({ bytes: taesdBytes, sha256: taesdSha256 });
  }, 60_000);

  it('has the names and shapes by which the engine knows an SD1 tiny UNet', () => {
    const shape = (name: string): readonly number[] | undefined => checkpoint.get(name)?.shape;
    const unet = 'model.diffusion_model.';
    expect(shape('cond_stage_model.transformer.text_model.embeddings.token_embedding.weight')).toEqual([49408, 768]);
    expect(shape(`${unet}input_blocks.0.0.weight`)).toEqual([320, 4, 3, 3]);
    expect(shape(`${unet}input_blocks.3.0.op.weight`)).toEqual([320, 320, 3, 3]);
    expect(shape(`${unet}output_blocks.2.1.conv.weight`)).toEqual([1280, 1280, 3, 3]);
    expect(shape(`${unet}output_blocks.5.2.conv.weight`)).toEqual([640, 640, 3, 3]);
    expect(shape(`${unet}output_blocks.7.1.transformer_blocks.0.attn2.to_k.weight`)).toEqual([320, 768]);
    expect(shape(`${unet}out.2.weight`)).toEqual([4, 320, 3, 3]);
    expect([...checkpoint.keys()].filter((name) => name.includes('middle_block'))).toEqual([]);
  });

  it('computes in a linear what the narrow network computes', () => {
    const block = 'attentions.0.transformer_blocks.0';
    const cases = [
      [`unet.up_blocks.1.${block}.ff.net.2.weight`, `output_blocks.3.1.transformer_blocks.0.ff.net.2.weight`, 5],
      [`unet.up_blocks.1.${block}.attn2.to_v.weight`, `output_blocks.3.1.transformer_blocks.0.attn2.to_v.weight`, 8],
    ] as const;
    for (const [narrowName, name, inRatio] of cases) {
      const weight = narrowValues(narrowName);
      const x = ramp(weight.shape[1] ?? 0);
      const wide = apply(valuesOf(checkpoint, `model.diffusion_model.${name}`), repeat(x, inRatio));
      expect(maxDifference(wide, repeat(apply(weight, x), 5))).toBeLessThan(1e-12);
    }
  });

  it('keeps the attention scores of wider heads', () => {
    const name = 'encoder.layers.0.self_attn';
    const x = ramp(96);
    const score = (q: number[], k: number[], width: number): number =>
      q.slice(0, width).reduce((sum, value, i) => sum + value * (k[i] ?? NaN), 0) / Math.sqrt(width);
    const wide = (part: string): number[] =>
      apply(valuesOf(checkpoint, `cond_stage_model.transformer.text_model.${name}.${part}.weight`), repeat(x, 8));
    const small = (part: string): number[] => apply(narrowValues(`text_encoder.${name}.${part}.weight`), x);
    const expected = score(small('q_proj'), small('k_proj'), 8);
    expect(Math.abs(score(wide('q_proj'), wide('k_proj'), 64) / expected - 1)).toBeLessThan(2e-3);
  });

  it('sees the same sinusoids of the time step', () => {
    const timeStep = 481;
    const sinusoid = (width: number): number[] => {
      const half = width / 2;
      const angles = Array.from({ length: half }, (_, i) => timeStep * Math.exp((-Math.log(10000) * i) / half));
      return [...angles.map(Math.cos), ...angles.map(Math.sin)];
    };
    const weight = narrowValues('unet.time_embedding.linear_1.weight');
    const wide = apply(valuesOf(checkpoint, 'model.diffusion_model.time_embed.0.weight'), sinusoid(320));
    expect(maxDifference(wide, repeat(apply(weight, sinusoid(64)), 5))).toBeLessThan(1e-9);
  });

  it('lets unused text layers pass everything by', () => {
    const layers = [...checkpoint.keys()].filter((name) => /layers\.(\d+)\./.test(name));
    expect(new Set(layers.map((name) => /layers\.(\d+)\./.exec(name)?.[1])).size).toBe(12);
    for (const part of ['self_attn.out_proj.weight', 'self_attn.out_proj.bias', 'mlp.fc2.weight', 'mlp.fc2.bias']) {
      const { values } = valuesOf(checkpoint, `cond_stage_model.transformer.text_model.encoder.layers.7.${part}`);
      expect(values.every((value) => value === 0)).toBe(true);
    }
  });

  it('puts the token rows at their CLIP ids', () => {
    const tensor = checkpoint.get('cond_stage_model.transformer.text_model.embeddings.token_embedding.weight');
    const end = 49407;
    const out = new Uint16Array(2 * 768).fill(0x7e00);
    tensor?.fill(new Uint8Array(out.buffer), end - 1, 2);
    const rows = narrowValues('text_encoder.embeddings.token_embedding.rows').values;
    const at = narrow.tokenIds.indexOf(end);
    expect(Array.from(out.subarray(768), halfToNumber)).toEqual(repeat(rows.slice(at * 96, at * 96 + 96), 8));
    const unusedId = Array.from({ length: 100 }, (_, id) => id).find((id) => !narrow.tokenIds.includes(id)) ?? NaN;
    tensor?.fill(new Uint8Array(out.buffer), unusedId, 1);
    expect(out.subarray(0, 768).every((bits) => bits === 0)).toBe(true);
  });

  it('fills the same rows whatever the size of the pieces', () => {
    const tensor = checkpoint.get('model.diffusion_model.input_blocks.1.0.in_layers.2.weight') as StreamedTensor;
    const row = 320 * 9;
    const whole = new Uint16Array(20 * row);
    tensor.fill(new Uint8Array(whole.buffer), 3, 20);
    const pieces = new Uint16Array(20 * row).fill(1);
    for (let first = 0, count = 1; first < 20; first += count, count = Math.min(count + 1, 20 - first)) {
      tensor.fill(new Uint8Array(pieces.buffer, first * row * 2, count * row * 2), 3 + first, count);
    }
    expect(pieces).toEqual(whole);
  });
});

describe('the lifted TAESD', () => {
  it('has the narrow one in its corner and zeros elsewhere', () => {
    const { shape, values } = valuesOf(taesd, 'decoder.layers.3.conv.2.weight');
    const inner = narrowValues('vae.decoder.layers.3.conv.2.weight');
    expect(shape).toEqual([64, 64, 3, 3]);
    const expected = new Array<number>(values.length).fill(0);
    inner.values.forEach((value, i) => {
      const [o, rest] = [Math.floor(i / (32 * 9)), i % (32 * 9)];
      expected[o * 64 * 9 + rest] = value;
    });
    expect(values).toEqual(expected);
    expect(taesd.get('encoder.layers.14.weight')?.shape).toEqual([4, 64, 3, 3]);
    expect(taesd.get('decoder.layers.18.bias')?.shape).toEqual([3]);
  });
});

describe('names', () => {
  it('have no counterpart outside the tiny UNet', () => {
    expect(() => ldmUnetName('mid_block.resnets.0.conv1.weight')).toThrow(RangeError);
    expect(() => ldmUnetName('down_blocks.0.resnets.0.other.weight')).toThrow(RangeError);
  });

  it('never fall on one another', () => {
    const names = [...narrow.tensors.keys()]
      .filter((name) => name.startsWith('unet.'))
      .map((name) => ldmUnetName(name.slice(5)));
    expect(new Set(names).size).toBe(names.length);
  });
});
