import type { Tensors } from './tensors.js';

/** FLUX.1 and what was made of it; the engine reads one file, flux.hpp, with branches. */
export type FluxFamily = 'flux' | 'chroma' | 'radiance' | 'ovis' | 'flux2';

export interface FluxConfig {
  /** A multiple of 128, the width of a head. */
  readonly width: number;
  readonly double: number;
  readonly single: number;
  /** Distilled guidance (dev); schnell has none. */
  readonly guidance: boolean;
  /** Default `flux`. */
  readonly family?: FluxFamily;
  /** Width of a patch of the latent and what is joined to it. Default: 64, for FLUX.2 128. */
  readonly inChannels?: number;
  /** Width of the text conditioning. Default: T5's 4096. */
  readonly contextWidth?: number;
}

const heads = 128;
const [approximatorWidth, approximatorLayers] = [5120, 5];

/** Width and depths are the engine's to read from the tensors; the rest is what it fixes for the family. */
export function flux(root: Tensors, config: FluxConfig): void {
  const { width, double, single, guidance, family = 'flux', contextWidth = 4096 } = config;
  const bias = family !== 'flux2';
  const pruned = family === 'chroma' || family === 'radiance';
  if (family === 'radiance') root.conv('img_in_patch', 3, width, 16);
  else root.linear('img_in', config.inChannels ?? (family === 'flux2' ? 128 : 64), width, bias);
  root.linear('txt_in', contextWidth, width, bias);
  if (family === 'ovis') root.add('txt_norm.scale', [contextWidth], { constant: 1 });
  if (pruned) approximator(root.at('distilled_guidance_layer'), width);
  else {
    embedder(root.at('time_in'), 256, width, bias);
    if (family === 'flux') embedder(root.at('vector_in'), 768, width);
    if (guidance) embedder(root.at('guidance_in'), 256, width, bias);
  }
  for (let i = 0; i < double; i += 1) doubleBlock(root.at(`double_blocks.${String(i)}`), width, family, pruned);
  for (let i = 0; i < single; i += 1) singleBlock(root.at(`single_blocks.${String(i)}`), width, family, pruned);
  if (family === 'flux2') {
    root.linear('double_stream_modulation_img.lin', width, 6 * width, false);
    root.linear('double_stream_modulation_txt.lin', width, 6 * width, false);
    root.linear('single_stream_modulation.lin', width, 3 * width, false);
  }
  if (family === 'radiance') nerf(root, width);
  else {
    root.linear('final_layer.linear', width, family === 'flux2' ? 128 : 64, bias);
    if (!pruned) root.linear('final_layer.adaLN_modulation.1', width, 2 * width, bias);
  }
}

function embedder(at: Tensors, input: number, output: number, bias = true): void {
  at.linear('in_layer', input, output, bias);
  at.linear('out_layer', output, output, bias);
}

function headNorms(at: Tensors): void {
  at.add('norm.query_norm.scale', [heads], { constant: 1 });
  at.add('norm.key_norm.scale', [heads], { constant: 1 });
}

/** One small network in place of the time, text and guidance embedders and of every modulation. */
function approximator(at: Tensors, width: number): void {
  at.linear('in_proj', 64, approximatorWidth);
  for (let i = 0; i < approximatorLayers; i += 1) {
    at.add(`norms.${String(i)}.scale`, [approximatorWidth], { constant: 1 });
    embedder(at.at(`layers.${String(i)}`), approximatorWidth, approximatorWidth);
  }
  at.linear('out_proj', approximatorWidth, width);
}

function doubleBlock(block: Tensors, width: number, family: FluxFamily, pruned: boolean): void {
  const bias = family !== 'flux2';
  for (const side of ['img', 'txt']) {
    if (family !== 'flux2' && !pruned) block.linear(`${side}_mod.lin`, width, 6 * width);
    block.linear(`${side}_attn.qkv`, width, 3 * width, bias);
    block.linear(`${side}_attn.proj`, width, width, bias);
    headNorms(block.at(`${side}_attn`));
    const mlp = block.at(`${side}_mlp`);
    if (family === 'ovis') {
      mlp.linear('gate_proj', width, 4 * width);
      mlp.linear('up_proj', width, 4 * width);
      mlp.linear('down_proj', 4 * width, width);
    } else if (family === 'flux2') {
      // A gated activation: two halves of three times the width.
      mlp.linear('0', width, 2 * 3 * width, false);
      mlp.linear('2', 3 * width, width, false);
    } else {
      mlp.linear('0', width, 4 * width);
      mlp.linear('2', 4 * width, width);
    }
  }
}

function singleBlock(block: Tensors, width: number, family: FluxFamily, pruned: boolean): void {
  const bias = family !== 'flux2';
  const hidden = (family === 'flux2' ? 3 : 4) * width;
  const gated = family === 'flux2' || family === 'ovis' ? 2 : 1;
  if (family !== 'flux2' && !pruned) block.linear('modulation.lin', width, 3 * width);
  block.linear('linear1', width, 3 * width + gated * hidden, bias);
  block.linear('linear2', width + hidden, width, bias);
  headNorms(block);
}

/** Chroma Radiance's way from patches to pixels; there is no VAE. */
function nerf(root: Tensors, width: number): void {
  const inner = 64;
  root.linear('nerf_image_embedder.embedder.0', 3 + 8 * 8, inner);
  for (let i = 0; i < 4; i += 1) {
    root.linear(`nerf_blocks.${String(i)}.param_generator`, width, 3 * inner * inner * 4);
    root.add(`nerf_blocks.${String(i)}.norm.scale`, [inner], { constant: 1 });
  }
  root.add('nerf_final_layer_conv.norm.scale', [inner], { constant: 1 });
  root.conv('nerf_final_layer_conv.conv', inner, 3, 3);
}
