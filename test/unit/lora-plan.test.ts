import { describe, expect, it } from 'vitest';
import { deltasOf } from '../../lib/weights/deltas.js';
import { groupModules } from '../../lib/weights/keys.js';
import type { LoraFile } from '../../lib/weights/loraFile.js';
import { planSet } from '../../lib/weights/plan.js';
import { TensorIndex } from '../../lib/weights/tensorIndex.js';

/** What a low-rank module of one tensor needs that the engine's adapter does not have. */
function faultsOf(name: string, shape: readonly number[]): readonly string[] {
  const tensor = { name, type: 'f16', shape };
  const header = (suffix: string, size: readonly number[]) => ({
    ...{ name: `m.${suffix}`, dtype: 'F32', shape: size, offset: 0, bytes: 0 },
  });
  const headers = [header('lora_up.weight', [shape[0] ?? 0, 1]), header('lora_down.weight', [1, ...shape.slice(1)])];
  const identity = { path: 'lora', sha256: '0', shortHash: '', stamp: '', metadata: {}, scalars: new Map() };
  const file: LoraFile = { ...identity, ...groupModules(headers) };
  const [module] = file.modules;
  if (module === undefined) throw new Error('The file has no module');
  const { deltas } = deltasOf(file, module, { tensor, slice: undefined }, undefined);
  const mapped = { file, deltas: deltas.map((delta) => ({ ...delta, base: 'm' })), kinds: [], rank: null };
  const weights = { unetWeight: 1, textEncoderWeight: 1, blockWeights: undefined, dyn: 0 };
  const lora = { name: 'lora', path: 'lora', ...weights };
  const planned = { lora, mapped: { ...mapped, matched: 1, unmatchedKeys: [] } };
  return planSet([planned], new TensorIndex([tensor]), 'SDXL').notAtRuntime;
}

describe('what the adapter of the engine cannot add at run time', () => {
  it.each([
    ['model.diffusion_model.input_blocks.1.1.proj_in.weight', [8, 4], []],
    ['model.diffusion_model.input_blocks.0.0.weight', [8, 4, 3, 3], []],
    ['text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.q.weight', [8, 4], []],
    ['cond_stage_model.1.transformer.text_model.text_projection', [8, 8], ['text_projection']],
    ['model.diffusion_model.pos_embed', [8, 4], ['pos_embed']],
    ['model.diffusion_model.blocks.0.modulation', [6, 4], ['modulation']],
    ['cond_stage_model.transformer.text_model.embeddings.token_embedding.weight', [8, 4], ['embeddings']],
    ['text_encoders.t5xxl.transformer.shared.weight', [8, 4], ['embeddings']],
    [
      'text_encoders.t5xxl.transformer.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight',
      [8, 4],
      ['embeddings'],
    ],
    ['text_encoders.llm.model.embed_tokens.weight', [8, 4], ['embeddings']],
  ] as const)('%s', (name, shape, faults) => {
    expect(faultsOf(name, shape)).toEqual(faults);
  });
});
