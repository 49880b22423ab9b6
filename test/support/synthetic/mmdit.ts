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
