import { copyFile, truncate, writeFile } from 'node:fs/promises';
import { type SyntheticKind, syntheticTensors } from './kinds.js';
import type { SyntheticTensor } from './tensors.js';
import { writeTensors } from './write.js';

/** A checkpoint whose download stopped: the first `bytes` of `whole`, whose header promises more. */
export async function writeTruncated(whole: string, path: string, bytes: number): Promise<void> {
  await copyFile(whole, path);
  await truncate(path, bytes);
}

/** A whole, valid file with the names of a kind and shapes of nothing: each dimension is at most `limit`. */
export async function writeWrongShapes(kind: SyntheticKind, path: string, limit = 8): Promise<void> {
  const shrunk = syntheticTensors(kind).map((tensor): SyntheticTensor => {
    // The token embedding's width decides the version; kept, so that the file is taken for what it is not.
    const width = tensor.name.endsWith('token_embedding.weight') ? Infinity : limit;
    return { ...tensor, shape: tensor.shape.map((size, i) => Math.min(size, i === 0 ? limit : width)) };
  });
  await writeTensors(path, shrunk, 1);
}

export interface LoraOptions {
  readonly seed: number;
  /** Default 4. */
  readonly rank?: number;
  /**
   * Writes `alpha` 1, so that the LoRA counts `1 / rank`. Default false: no alpha in the file, which means the rank.
   */
  readonly alphaOne?: boolean;
}

/** A kohya LoRA for SD1: the attention projections of one UNet block and of one text encoder layer. */
export async function writeLora(path: string, { seed, rank = 4, alphaOne = false }: LoraOptions): Promise<void> {
  const block = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0';
  const modules: readonly (readonly [string, number, number])[] = [
    [`${block}_attn1_to_q`, 320, 320],
    [`${block}_attn1_to_v`, 320, 320],
    [`${block}_attn2_to_k`, 768, 320],
    ['lora_te_text_model_encoder_layers_0_self_attn_q_proj', 768, 768],
  ];
  const tensors = modules.flatMap(([name, input, output]): SyntheticTensor[] => [
    { name: `${name}.lora_down.weight`, shape: [rank, input], values: { fanIn: input } },
    { name: `${name}.lora_up.weight`, shape: [output, rank], values: { fanIn: rank } },
    ...(alphaOne ? [{ name: `${name}.alpha`, shape: [], values: { constant: 1 } } as const] : []),
  ]);
  await writeTensors(path, tensors, seed, { ss_network_module: 'networks.lora', ss_network_dim: String(rank) });
}

/** What people download by mistake: a web page under the model's name. */
export async function writeTextFile(path: string): Promise<void> {
  await writeFile(path, '<!doctype html>\n<html><head><title>404</title></head><body>Not found</body></html>\n');
}
