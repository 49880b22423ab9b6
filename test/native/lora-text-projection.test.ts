import { open } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { numberToHalf } from '../../lib/model/embedded/half.js';
import { readHeader } from '../../lib/model/index.js';
import { low, r } from '../support/lora/cases.js';
import { type Part, storedAs, writeLora } from '../support/lora/files.js';
import { type Parts, referenceDelta } from '../support/lora/reference.js';
import { unitAt } from '../support/lora/stored.js';
import { type RawWeights, useRawWeights } from '../support/lora/weights.js';
import { useScratch } from '../support/scratch.js';
import { type SyntheticKind, writeHollow } from '../support/synthetic/index.js';

const scratch = useScratch(2 ** 26);
const shape = [1280, 1280];
const stored: Part = storedAs('F16', r(shape, 0.03));
const tensor = 'cond_stage_model.1.transformer.text_model.text_projection';

/** A checkpoint of zeros, but for the projection, in open_clip's names or those of transformers. */
async function writeCheckpoint(kind: SyntheticKind): Promise<string> {
  const path = scratch.path(`${kind}.safetensors`);
  await writeHollow(kind, path);
  const { tensors } = await readHeader(path, { field: 'checkpoint' });
  const projection = tensors.find(({ name }) => name.includes('text_projection'));
  const file = await open(path, 'r+');
  await file.write(Uint16Array.from(stored.data, numberToHalf), 0, undefined, projection?.offset);
  await file.close();
  return path;
}

/** [outputs, inputs], as every LoRA has them: the engine multiplies with the tensor as it lies in memory. */
async function expectMerged(weights: RawWeights, delta: ArrayLike<number>): Promise<void> {
  let worst = 0;
  for (const [index, value] of (await weights.numbers(tensor)).entries()) {
    const exact = (stored.data[index] ?? NaN) + (delta[index] ?? NaN);
    worst = Math.max(worst, Math.abs(value - exact) / unitAt('f32', exact));
  }
  expect(worst).toBeLessThanOrEqual(1);
}

describe.each(['sdxl-vega', 'sdxl-vega-hf'] as const)('the projection of the second text encoder, %s', (kind) => {
  const fixture = useRawWeights({
    load: { withoutVae: true, mmap: true },
    checkpoint: () => writeCheckpoint(kind),
  });
  const weight = { shape, data: Float64Array.from(stored.data) };
  const factors = low(weight);
  const write = (base: string, parts: Parts): string =>
    writeLora(
      scratch.path('lora.safetensors'),
      Object.fromEntries(Object.entries(parts).map(([part, value]) => [`${base}.${part}`, value])),
    );

  it.each([
    'lora_te2_text_projection',
    'lora_te2_text_model_text_projection',
    'text_encoder_2.text_projection',
    'clip_g.transformer.text_projection',
    'cond_stage_model.1.transformer.text_projection',
  ])('%s', async (base) => {
    const { weights } = fixture;
    expect(weights.info(tensor)).toMatchObject({ type: 'f32', shape });
    const before = await weights.bytes(tensor);
    await expectMerged(weights, new Float64Array(stored.data.length));
    const report = await weights.set([{ path: write(base, factors) }]);
    expect(report.files[0]).toMatchObject({ matched: 1, unmatchedKeys: [], tensors: 1, kinds: ['lora'] });
    await expectMerged(weights, referenceDelta(weight, factors, 'lora', 1));
    await weights.set([]);
    expect(Buffer.from(await weights.bytes(tensor)).equals(before)).toBe(true);
  });

  it('a full difference', async () => {
    const { weights } = fixture;
    const diff = r(shape, 0.01);
    await weights.set([{ path: write('lora_te2_text_projection', { diff }), weight: 0.5 }]);
    await expectMerged(
      weights,
      diff.data.map((value) => value / 2),
    );
    await weights.set([]);
  });

  it('the first text encoder has none, and says so', async () => {
    const { weights } = fixture;
    const path = write('lora_te1_text_projection', factors);
    await expect(weights.set([{ path }])).rejects.toMatchObject({ code: 'ERR_LORA_INCOMPATIBLE' });
  });
});
