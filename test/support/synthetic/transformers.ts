import type { Tensors } from './tensors.js';

/** SD3's MMDiT (the engine's mmdit.hpp). The engine takes at least 24 blocks and a width of 64 times their number. */
export function mmdit(root: Tensors, depth: number): void {
  const width = 64 * depth;
  const perceptron = (at: Tensors, input: number): void => {
    at.linear('mlp.0', input, width);
    at.linear('mlp.2', width, width);
  };
  root.add('pos_embed', [1, 192 * 192, width], { fanIn: width });
  root.conv('x_embedder.proj', 16, width, 2);
  perceptron(root.at('t_embedder'), 256);
  perceptron(root.at('y_embedder'), 2048);
  root.linear('context_embedder', 4096, width);
  for (let i = 0; i < depth; i += 1) {
    const last = i === depth - 1;
    stream(root.at(`joint_blocks.${String(i)}.context_block`), width, last);
    stream(root.at(`joint_blocks.${String(i)}.x_block`), width, false);
  }
  root.linear('final_layer.linear', width, 2 * 2 * 16);
  root.linear('final_layer.adaLN_modulation.1', width, 2 * width);
}

/** One side of a joint block; the text side of the last one only gives keys and values. */
function stream(at: Tensors, width: number, last: boolean): void {
  at.linear('attn.qkv', width, 3 * width);
  at.linear('adaLN_modulation.1', width, (last ? 2 : 6) * width);
  if (last) return;
  at.linear('attn.proj', width, width);
  at.linear('mlp.fc1', width, 4 * width);
  at.linear('mlp.fc2', 4 * width, width);
}

export interface FluxConfig {
  /** A multiple of 128, the width of a head. */
  readonly width: number;
  readonly double: number;
  readonly single: number;
  /** Distilled guidance (dev); schnell has none. */
  readonly guidance: boolean;
  /** Chroma: one small network in place of the time, text and guidance embedders and of every modulation. */
  readonly chroma?: boolean;
}

const approximatorWidth = 5120;
const approximatorLayers = 5;

/** FLUX.1 (the engine's flux.hpp, which reads width and depths from the tensors). */
export function flux(root: Tensors, { width, double, single, guidance, chroma = false }: FluxConfig): void {
  const embedder = (at: Tensors, input: number, output = width): void => {
    at.linear('in_layer', input, output);
    at.linear('out_layer', output, output);
  };
  const headNorms = (at: Tensors): void => {
    at.add('norm.query_norm.scale', [128], { constant: 1 });
    at.add('norm.key_norm.scale', [128], { constant: 1 });
  };
  root.linear('img_in', 64, width);
  root.linear('txt_in', 4096, width);
  if (chroma) {
    const approximator = root.at('distilled_guidance_layer');
    approximator.linear('in_proj', 64, approximatorWidth);
    for (let i = 0; i < approximatorLayers; i += 1) {
      approximator.add(`norms.${String(i)}.scale`, [approximatorWidth], { constant: 1 });
      embedder(approximator.at(`layers.${String(i)}`), approximatorWidth, approximatorWidth);
    }
    approximator.linear('out_proj', approximatorWidth, width);
  } else {
    embedder(root.at('time_in'), 256);
    embedder(root.at('vector_in'), 768);
    if (guidance) embedder(root.at('guidance_in'), 256);
  }
  for (let i = 0; i < double; i += 1) {
    for (const side of ['img', 'txt']) {
      const block = root.at(`double_blocks.${String(i)}`);
      if (!chroma) block.linear(`${side}_mod.lin`, width, 6 * width);
      block.linear(`${side}_attn.qkv`, width, 3 * width);
      block.linear(`${side}_attn.proj`, width, width);
      headNorms(block.at(`${side}_attn`));
      block.linear(`${side}_mlp.0`, width, 4 * width);
      block.linear(`${side}_mlp.2`, 4 * width, width);
    }
  }
  for (let i = 0; i < single; i += 1) {
    const block = root.at(`single_blocks.${String(i)}`);
    if (!chroma) block.linear('modulation.lin', width, 3 * width);
    block.linear('linear1', width, 7 * width);
    block.linear('linear2', 5 * width, width);
    headNorms(block);
  }
  root.linear('final_layer.linear', width, 64);
  if (!chroma) root.linear('final_layer.adaLN_modulation.1', width, 2 * width);
}

/** T5 v1.1 XXL's encoder with the names of transformers (the engine's t5.hpp; its size is fixed there). */
export function t5xxl(root: Tensors): void {
  const [width, inner, heads, layers] = [4096, 10240, 64, 24] as const;
  root.add('shared.weight', [32128, width], { fanIn: width });
  for (let i = 0; i < layers; i += 1) {
    const block = root.at(`encoder.block.${String(i)}`);
    for (const part of ['q', 'k', 'v', 'o']) block.linear(`layer.0.SelfAttention.${part}`, width, width, false);
    if (i === 0) block.add('layer.0.SelfAttention.relative_attention_bias.weight', [32, heads], { fanIn: heads });
    block.add('layer.0.layer_norm.weight', [width], { constant: 1 });
    block.linear('layer.1.DenseReluDense.wi_0', width, inner, false);
    block.linear('layer.1.DenseReluDense.wi_1', width, inner, false);
    block.linear('layer.1.DenseReluDense.wo', inner, width, false);
    block.add('layer.1.layer_norm.weight', [width], { constant: 1 });
  }
  root.add('encoder.final_layer_norm.weight', [width], { constant: 1 });
}
