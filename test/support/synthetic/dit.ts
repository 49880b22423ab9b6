import type { Tensors } from './tensors.js';

const one = { constant: 1 } as const;

/** Qwen-Image (the engine's qwen_image.hpp: 24 heads of 128, depth from the tensors). */
export function qwenImage(root: Tensors, depth: number): void {
  const width = 3072;
  perceptron(root.at('time_text_embed.timestep_embedder'), 256, width);
  root.add('txt_norm.weight', [3584], one);
  root.linear('img_in', 64, width);
  root.linear('txt_in', 3584, width);
  for (let i = 0; i < depth; i += 1) {
    const block = root.at(`transformer_blocks.${String(i)}`);
    for (const side of ['img', 'txt']) {
      block.linear(`${side}_mod.1`, width, 6 * width);
      block.linear(`${side}_mlp.net.0.proj`, width, 4 * width);
      block.linear(`${side}_mlp.net.2`, 4 * width, width);
    }
    const attention = block.at('attn');
    for (const part of ['to_q', 'to_k', 'to_v', 'add_q_proj', 'add_k_proj', 'add_v_proj', 'to_out.0', 'to_add_out'])
      attention.linear(part, width, width);
    for (const norm of ['norm_q', 'norm_k', 'norm_added_q', 'norm_added_k'])
      attention.add(`${norm}.weight`, [128], one);
  }
  root.linear('norm_out.linear', width, 2 * width);
  root.linear('proj_out', width, 64);
}

/** Z-Image (z_image.hpp): every size fixed, 6 billion weights. */
export function zImage(root: Tensors): void {
  const [width, inner, context] = [3840, 10_240, 2560] as const;
  const block = (at: Tensors, modulated: boolean): void => {
    at.linear('attention.qkv', width, 3 * width, false);
    at.linear('attention.out', width, width, false);
    at.add('attention.q_norm.weight', [128], one);
    at.add('attention.k_norm.weight', [128], one);
    at.linear('feed_forward.w1', width, inner, false);
    at.linear('feed_forward.w2', inner, width, false);
    at.linear('feed_forward.w3', width, inner, false);
    for (const norm of ['attention_norm1', 'attention_norm2', 'ffn_norm1', 'ffn_norm2'])
      at.add(`${norm}.weight`, [width], one);
    if (modulated) at.linear('adaLN_modulation.0', 256, 4 * width);
  };
  root.add('cap_pad_token', [1, width], { fanIn: width });
  root.add('x_pad_token', [1, width], { fanIn: width });
  root.linear('x_embedder', 64, width);
  root.linear('t_embedder.mlp.0', 256, 1024);
  root.linear('t_embedder.mlp.2', 1024, 256);
  root.add('cap_embedder.0.weight', [context], one);
  root.linear('cap_embedder.1', context, width);
  for (let i = 0; i < 2; i += 1) {
    block(root.at(`noise_refiner.${String(i)}`), true);
    block(root.at(`context_refiner.${String(i)}`), false);
  }
  for (let i = 0; i < 30; i += 1) block(root.at(`layers.${String(i)}`), true);
  root.linear('final_layer.linear', width, 64);
  root.linear('final_layer.adaLN_modulation.1', 256, width);
}

/** ERNIE-Image (ernie_image.hpp: 32 heads of at least 128, so the width is 4096; depth from the tensors). */
export function ernieImage(root: Tensors, width: number, depth: number, contextWidth: number): void {
  root.conv('x_embedder.proj', 128, width, 1);
  root.linear('text_proj', contextWidth, width, false);
  perceptron(root.at('time_embedding'), width, width);
  root.linear('adaLN_modulation.1', width, 6 * width);
  for (let i = 0; i < depth; i += 1) {
    const layer = root.at(`layers.${String(i)}`);
    for (const part of ['to_q', 'to_k', 'to_v', 'to_out.0'])
      layer.linear(`self_attention.${part}`, width, width, false);
    layer.add('self_attention.norm_q.weight', [width / 32], one);
    layer.add('self_attention.norm_k.weight', [width / 32], one);
    layer.linear('mlp.gate_proj', width, 3 * width, false);
    layer.linear('mlp.up_proj', width, 3 * width, false);
    layer.linear('mlp.linear_fc2', 3 * width, width, false);
    layer.add('adaLN_sa_ln.weight', [width], one);
    layer.add('adaLN_mlp_ln.weight', [width], one);
  }
  root.linear('final_norm.linear', width, 2 * width);
  root.linear('final_linear', width, 128);
}

function perceptron(at: Tensors, input: number, width: number): void {
  at.linear('linear_1', input, width);
  at.linear('linear_2', width, width);
}

/** Anima (anima.hpp: width 2048, depth from the tensors; the adapter from language model to T5's space is fixed). */
export function anima(root: Tensors, depth: number): void {
  const [width, context, modulation] = [2048, 1024, 256] as const;
  const modulate = (at: Tensors, parts: number): void => {
    at.linear('1', width, modulation, false);
    at.linear('2', modulation, parts * width, false);
  };
  root.linear('x_embedder.proj.1', (16 + 1) * 4, width, false);
  root.linear('t_embedder.1.linear_1', width, width, false);
  root.linear('t_embedder.1.linear_2', width, 3 * width, false);
  root.add('t_embedding_norm.weight', [width], one);
  for (let i = 0; i < depth; i += 1) {
    const block = root.at(`blocks.${String(i)}`);
    for (const part of ['self_attn', 'cross_attn', 'mlp']) modulate(block.at(`adaln_modulation_${part}`), 3);
    attention(block.at('self_attn'), width, width, 128, 'output_proj');
    attention(block.at('cross_attn'), width, context, 128, 'output_proj');
    block.linear('mlp.layer1', width, 4 * width, false);
    block.linear('mlp.layer2', 4 * width, width, false);
  }
  modulate(root.at('final_layer.adaln_modulation'), 2);
  root.linear('final_layer.linear', width, 64, false);

  const adapter = root.at('llm_adapter');
  adapter.add('embed.weight', [32_128, context], { fanIn: context });
  for (let i = 0; i < 6; i += 1) {
    const block = adapter.at(`blocks.${String(i)}`);
    for (const norm of ['norm_self_attn', 'norm_cross_attn', 'norm_mlp']) block.add(`${norm}.weight`, [context], one);
    attention(block.at('self_attn'), context, context, 64, 'o_proj');
    attention(block.at('cross_attn'), context, context, 64, 'o_proj');
    block.linear('mlp.0', context, 4 * context);
    block.linear('mlp.2', 4 * context, context);
  }
  adapter.linear('out_proj', context, context);
  adapter.add('norm.weight', [context], one);
}

function attention(at: Tensors, width: number, context: number, head: number, out: string): void {
  at.linear('q_proj', width, width, false);
  at.linear('k_proj', context, width, false);
  at.linear('v_proj', context, width, false);
  at.linear(out, width, width, false);
  at.add('q_norm.weight', [head], one);
  at.add('k_norm.weight', [head], one);
}
