import type { Tensors } from './tensors.js';

const one = { constant: 1 } as const;

export interface WanConfig {
  readonly width: number;
  readonly inner: number;
  readonly channels: number;
}

/** The engine's wan.hpp knows these by their 30 blocks and fixes the rest. */
export const wan1b: WanConfig = { width: 1536, inner: 8960, channels: 16 };
export const wan5b: WanConfig = { width: 3072, inner: 14_336, channels: 48 };

export function wan(root: Tensors, { width, inner, channels }: WanConfig): void {
  const depth = 30;
  conv3d(root, 'patch_embedding', channels, width, [1, 2, 2]);
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
  root.linear('head.head', width, 4 * channels);
}

const multipliers = [1, 2, 4, 4] as const;

/** The video VAE of Wan 2.1, which Qwen-Image and Anima share; `root` is `first_stage_model`. */
export function wanVae(root: Tensors): void {
  const base = 96;
  const deepest = base * 4;
  const encoder = root.at('encoder');
  let [index, width] = [0, base];
  multipliers.forEach((multiplier, level) => {
    const output = base * multiplier;
    for (let j = 0; j < 2; j += 1) {
      residual(encoder.at(`downsamples.${String(index++)}`), width, output);
      width = output;
    }
    if (level < 3) resample(encoder.at(`downsamples.${String(index++)}`), width, width, level > 0 ? width : 0);
  });
  const decoder = root.at('decoder');
  index = 0;
  [...multipliers].reverse().forEach((multiplier, level) => {
    // An upsampling halves the width; the first level starts from the middle's.
    let input = level === 0 ? deepest : width / 2;
    width = base * multiplier;
    for (let j = 0; j < 3; j += 1) {
      residual(decoder.at(`upsamples.${String(index++)}`), input, width);
      input = width;
    }
    if (level < 3) resample(decoder.at(`upsamples.${String(index++)}`), width, width / 2, level < 2 ? 2 * width : 0);
  });
  ends(root, { channels: 16, pixels: 3, encoder: base, decoder: base });
}

/** The video VAE of Wan 2.2 5B: blocks of levels, two by two pixels as channels, a wider decoder. */
export function wan22Vae(root: Tensors): void {
  const bases = { encoder: 160, decoder: 256 };
  let width = bases.encoder;
  multipliers.forEach((multiplier, level) => {
    const output = bases.encoder * multiplier;
    const block = root.at(`encoder.downsamples.${String(level)}`);
    for (let j = 0; j < 2; j += 1) residual(block.at(`downsamples.${String(j)}`), j === 0 ? width : output, output);
    if (level < 3) resample(block.at('downsamples.2'), output, output, level > 0 ? output : 0);
    width = output;
  });
  width = bases.decoder * 4;
  [...multipliers].reverse().forEach((multiplier, level) => {
    const output = bases.decoder * multiplier;
    const block = root.at(`decoder.upsamples.${String(level)}`);
    for (let j = 0; j < 3; j += 1) residual(block.at(`upsamples.${String(j)}`), j === 0 ? width : output, output);
    if (level < 3) resample(block.at('upsamples.3'), output, output, level < 2 ? 2 * output : 0);
    width = output;
  });
  ends(root, { channels: 48, pixels: 12, ...bases });
}

/** Convolution of a level's end; `time` is the width of the one over time, 0 for none. */
function resample(at: Tensors, input: number, output: number, time: number): void {
  at.conv('resample.1', input, output, 3);
  if (time > 0) conv3d(at, 'time_conv', input, time, [3, 1, 1]);
}

interface Ends {
  readonly channels: number;
  readonly pixels: number;
  readonly encoder: number;
  readonly decoder: number;
}

/** What comes before, between and behind the levels. */
function ends(root: Tensors, { channels, pixels, ...bases }: Ends): void {
  const encoder = root.at('encoder');
  conv3d(encoder, 'conv1', pixels, bases.encoder, [3, 3, 3]);
  middle(encoder, bases.encoder * 4);
  norm(encoder, 'head.0', bases.encoder * 4);
  conv3d(encoder, 'head.2', bases.encoder * 4, 2 * channels, [3, 3, 3]);
  conv3d(root, 'conv1', 2 * channels, 2 * channels, [1, 1, 1]);
  const decoder = root.at('decoder');
  conv3d(decoder, 'conv1', channels, bases.decoder * 4, [3, 3, 3]);
  middle(decoder, bases.decoder * 4);
  norm(decoder, 'head.0', bases.decoder);
  conv3d(decoder, 'head.2', bases.decoder, pixels, [3, 3, 3]);
  conv3d(root, 'conv2', channels, channels, [1, 1, 1]);
}

function middle(at: Tensors, width: number): void {
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
