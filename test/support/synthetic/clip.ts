import type { Tensors } from './tensors.js';

export interface ClipConfig {
  readonly width: number;
  readonly layers: number;
  /** Width of the text projection; undefined: none. */
  readonly projection?: number;
}

export const clipL: ClipConfig = { width: 768, layers: 12 };
export const clipH: ClipConfig = { width: 1024, layers: 24, projection: 1024 };
export const clipG: ClipConfig = { width: 1280, layers: 32, projection: 1280 };

const tokens = 49408;
const positions = 77;

/** Text encoder with the names of transformers' CLIPTextModel; `root` is `….transformer`. */
export function hfClip(root: Tensors, { width, layers, projection }: ClipConfig): void {
  const text = root.at('text_model');
  text.add('embeddings.token_embedding.weight', [tokens, width], { fanIn: width });
  text.add('embeddings.position_embedding.weight', [positions, width], { fanIn: width });
  for (let i = 0; i < layers; i += 1) {
    const layer = text.at(`encoder.layers.${String(i)}`);
    for (const part of ['q_proj', 'k_proj', 'v_proj', 'out_proj']) layer.linear(`self_attn.${part}`, width, width);
    layer.norm('layer_norm1', width);
    layer.norm('layer_norm2', width);
    layer.linear('mlp.fc1', width, width * 4);
    layer.linear('mlp.fc2', width * 4, width);
  }
  text.norm('final_layer_norm', width);
  if (projection !== undefined) root.linear('text_projection', width, projection, false);
}

/** Text encoder with the names of open_clip, as SD2 and SDXL carry it; `root` is `….model`. */
export function openClip(root: Tensors, { width, layers, projection }: ClipConfig): void {
  root.add('token_embedding.weight', [tokens, width], { fanIn: width });
  root.add('positional_embedding', [positions, width], { fanIn: width });
  for (let i = 0; i < layers; i += 1) {
    const block = root.at(`transformer.resblocks.${String(i)}`);
    block.add('attn.in_proj_weight', [width * 3, width], { fanIn: width });
    block.add('attn.in_proj_bias', [width * 3], { constant: 0 });
    block.linear('attn.out_proj', width, width);
    block.norm('ln_1', width);
    block.norm('ln_2', width);
    block.linear('mlp.c_fc', width, width * 4);
    block.linear('mlp.c_proj', width * 4, width);
  }
  root.norm('ln_final', width);
  if (projection !== undefined) root.add('text_projection', [width, projection], { fanIn: width });
}
