import type { Tensors } from './tensors.js';

const one = { constant: 1 } as const;

/** Wan 2.1 T2V 1.3B (the engine's wan.hpp, which knows the model by its 30 blocks and fixes the rest). */
export function wan(root: Tensors): void {
  const [width, inner, depth] = [1536, 8960, 30] as const;
  conv3d(root, 'patch_embedding', 16, width, [1, 2, 2]);
  root.linear('text_embedding.0', 4096, width);
  root.linear('text_embedding.2', width, width);
  root.linear('time_embedding.0', 256, width);
  root.linear('time_embedding.2', width, width);
  root.linear('time_projection.1', width, 6 * width);
  for (let i = 0; i < depth; i += 1) {
    const block = root.at(`blocks.${String(i)}`);
    block.add('modulation', [1, 6, width], { fanIn: width });
    for (const attention of [block.at('self_attn'), block.at('cross_attn')]) {
      for (const part of ['q', 'k', 'v', 'o']) attention.linear(part, width, width);
      attention.add('norm_q.weight', [width], one);
      attention.add('norm_k.weight', [width], one);
    }
    block.norm('norm3', width);
    block.linear('ffn.0', width, inner);
    block.linear('ffn.2', inner, width);
  }
  root.add('head.modulation', [1, 2, width], { fanIn: width });
  root.linear('head.head', width, 64);
}

const base = 96;
const multipliers = [1, 2, 4, 4] as const;

/** The video VAE of Wan 2.1, which Qwen-Image and Anima share; `root` is `first_stage_model`. */
export function wanVae(root: Tensors): void {
  const channels = 16;
  const encoder = root.at('encoder');
  const deepest = base * 4;
  conv3d(encoder, 'conv1', 3, base, [3, 3, 3]);
  let index = 0;
  let width: number = base;
  multipliers.forEach((multiplier, level) => {
    for (let j = 0; j < 2; j += 1) {
      residual(encoder.at(`downsamples.${String(index++)}`), width, base * multiplier);
      width = base * multiplier;
    }
    if (level === multipliers.length - 1) return;
    const down = encoder.at(`downsamples.${String(index++)}`);
    down.conv('resample.1', width, width, 3);
    if (level > 0) conv3d(down, 'time_conv', width, width, [3, 1, 1]);
  });
  ends(encoder, deepest);
  norm(encoder, 'head.0', deepest);
  conv3d(encoder, 'head.2', deepest, 2 * channels, [3, 3, 3]);
  conv3d(root, 'conv1', 2 * channels, 2 * channels, [1, 1, 1]);

  const decoder = root.at('decoder');
  conv3d(decoder, 'conv1', channels, deepest, [3, 3, 3]);
  ends(decoder, deepest);
  index = 0;
  [...multipliers].reverse().forEach((multiplier, level) => {
    // An upsampling halves the width; the first level starts from the middle's.
    let input = level === 0 ? deepest : width / 2;
    width = base * multiplier;
    for (let j = 0; j < 3; j += 1) {
      residual(decoder.at(`upsamples.${String(index++)}`), input, width);
      input = width;
    }
    if (level === multipliers.length - 1) return;
    const up = decoder.at(`upsamples.${String(index++)}`);
    up.conv('resample.1', width, width / 2, 3);
    if (level < 2) conv3d(up, 'time_conv', width, 2 * width, [3, 1, 1]);
  });
  norm(decoder, 'head.0', width);
  conv3d(decoder, 'head.2', width, 3, [3, 3, 3]);
  conv3d(root, 'conv2', channels, channels, [1, 1, 1]);
}

function ends(at: Tensors, width: number): void {
  residual(at.at('middle.0'), width, width);
  at.add('middle.1.norm.gamma', [width, 1, 1], one);
  at.conv('middle.1.to_qkv', width, 3 * width, 1);
  at.conv('middle.1.proj', width, width, 1);
  residual(at.at('middle.2'), width, width);
}

function residual(at: Tensors, input: number, output: number): void {
  norm(at, 'residual.0', input);
  conv3d(at, 'residual.2', input, output, [3, 3, 3]);
  norm(at, 'residual.3', output);
  conv3d(at, 'residual.6', output, output, [3, 3, 3]);
  if (input !== output) conv3d(at, 'shortcut', input, output, [1, 1, 1]);
}

function norm(at: Tensors, name: string, width: number): void {
  at.add(`${name}.gamma`, [width, 1, 1, 1], one);
}

function conv3d(at: Tensors, name: string, input: number, output: number, kernel: readonly number[]): void {
  const fanIn = kernel.reduce((product, size) => product * size, input);
  at.add(`${name}.weight`, [output, input, ...kernel], { fanIn });
  at.add(`${name}.bias`, [output], { constant: 0 });
}
