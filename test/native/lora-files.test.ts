import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../../lib/model/index.js';
import type { Part } from '../support/lora/files.js';
import { type Parts, referenceDelta } from '../support/lora/reference.js';
import { numbersOf, unitAt } from '../support/lora/stored.js';
import { useRawWeights } from '../support/lora/weights.js';
import { useScratch } from '../support/scratch.js';
import { type SyntheticTensor, writeCkpt, writeGguf, writeTensors } from '../support/synthetic/index.js';

const fixture = useRawWeights();
const scratch = useScratch(2 ** 24);
const text = 'lora_te_text_model_encoder_layers_0_mlp_fc1';
const block = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q';

/** The parts of a module as the file has them. */
async function partsOf(path: string, base: string): Promise<Parts> {
  const [{ tensors }, bytes] = [await readHeader(path, { field: 'path' }), await readFile(path)];
  const own = tensors.filter(({ name }) => name.startsWith(`${base}.`));
  return Object.fromEntries(
    own.map(({ name, dtype, shape, offset, bytes: size }): [string, Part] => {
      const data = Float32Array.from(numbersOf(dtype.toLowerCase(), bytes.subarray(offset, offset + size)));
      return [name.slice(base.length + 1), { shape, data }];
    }),
  );
}

function modules(rank: number, input: number): readonly SyntheticTensor[] {
  let start = 0;
  const sizes = [
    [text, 768, 3072],
    [block, 320, 320],
  ] as const;
  return sizes.flatMap(([name, columns, rows]): SyntheticTensor[] => {
    const tensors = [
      { name: `${name}.lora_down.weight`, shape: [rank, columns], values: { fanIn: input } },
      { name: `${name}.lora_up.weight`, shape: [rows, rank], values: { fanIn: input } },
      { name: `${name}.alpha`, shape: [1], values: { constant: 1 } },
    ] as const;
    return tensors.map((tensor) => {
      const placed = { ...tensor, start };
      start += tensor.shape.reduce((product: number, size) => product * size, 1);
      start = Math.ceil(start / 32) * 32;
      return placed;
    });
  });
}

describe('the same LoRA', () => {
  it('in a ckpt file gives the weights that it gives as safetensors', async () => {
    const { weights } = fixture;
    const plain = await weights.digest();
    const paths = { safetensors: scratch.path('lora.safetensors'), ckpt: scratch.path('lora.ckpt') };
    const tensors = modules(4, 4);
    await writeTensors(paths.safetensors, tensors, 1);
    await writeCkpt(paths.ckpt, tensors, 1);
    const expected = { tensors: 2, warnings: [], files: [{ modules: 2, matched: 2, unmatchedKeys: [] }] };
    expect(await weights.set([{ path: paths.safetensors }])).toMatchObject(expected);
    const digest = await weights.digest();
    expect(digest).not.toBe(plain);
    expect(await weights.set([{ path: paths.ckpt }])).toMatchObject(expected);
    expect(await weights.digest()).toBe(digest);
    await weights.set([]);
    expect(await weights.digest()).toBe(plain);
  });

  // Rank 4: up is in 16 bits, down in blocks; rank 32: both in blocks.
  it.each([4, 32])('of rank %i in a GGUF file of q8_0 is what its blocks say', async (rank) => {
    const { weights } = fixture;
    const path = scratch.path('lora.gguf');
    await writeGguf(path, modules(rank, rank), 'q8_0', 2);
    const places = [
      ['model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight', block],
      ['cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight', text],
    ] as const;
    const before = await Promise.all(places.map(([tensor]) => weights.numbers(tensor)));
    const report = await weights.set([{ path, weight: 0.5 }]);
    expect(report).toMatchObject({ tensors: 2, warnings: [], files: [{ matched: 2, rank: { min: rank, max: rank } }] });
    for (const [index, [tensor, base]] of places.entries()) {
      const data = before[index] ?? new Float64Array();
      const { shape, type } = weights.info(tensor);
      const delta = referenceDelta({ shape, data }, await partsOf(path, base), 'lora', 0.5);
      const after = await weights.numbers(tensor);
      const errors = after.map((value, at) => {
        const exact = (data[at] ?? NaN) + (delta[at] ?? NaN);
        return Math.abs(value - exact) / unitAt(type, exact);
      });
      expect(errors.reduce((a, b) => Math.max(a, b), 0)).toBeLessThanOrEqual(1);
      expect(after).not.toEqual(data);
    }
    await weights.set([]);
  });
});
