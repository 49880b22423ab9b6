import type { Tensors } from './tensors.js';

export interface VaeConfig {
  readonly latentChannels: number;
  /** 1x1 convolutions around the latent (SD1, SD2, SDXL), absent in SD3 and FLUX. */
  readonly quant: boolean;
}

export const vaeSd: VaeConfig = { latentChannels: 4, quant: true };
/** FLUX.2's: two by two cells of it are one of the latent. */
export const vae32: VaeConfig = { latentChannels: 32, quant: true };
export const vae16: VaeConfig = { latentChannels: 16, quant: false };

const widths = [128, 256, 512, 512] as const;
const deepest = 512;

/** `ldm.models.autoencoder.AutoencoderKL`; `root` is `first_stage_model`. */
export function vae(root: Tensors, { latentChannels, quant }: VaeConfig): void {
  const encoder = root.at('encoder');
  encoder.conv('conv_in', 3, widths[0], 3);
  let channels: number = widths[0];
  widths.forEach((width, level) => {
    for (let j = 0; j < 2; j += 1) {
      residual(encoder.at(`down.${String(level)}.block.${String(j)}`), channels, width);
      channels = width;
    }
    if (level < widths.length - 1) encoder.conv(`down.${String(level)}.downsample.conv`, channels, channels, 3);
  });
  middle(encoder);
  encoder.norm('norm_out', deepest);
  encoder.conv('conv_out', deepest, 2 * latentChannels, 3);

  const decoder = root.at('decoder');
  decoder.conv('conv_in', latentChannels, deepest, 3);
  middle(decoder);
  channels = deepest;
  for (let level = widths.length - 1; level >= 0; level -= 1) {
    const width = widths[level] as number;
    for (let j = 0; j < 3; j += 1) {
      residual(decoder.at(`up.${String(level)}.block.${String(j)}`), channels, width);
      channels = width;
    }
    if (level > 0) decoder.conv(`up.${String(level)}.upsample.conv`, channels, channels, 3);
  }
  decoder.norm('norm_out', channels);
  decoder.conv('conv_out', channels, 3, 3);
  if (quant) {
    root.conv('quant_conv', 2 * latentChannels, 2 * latentChannels, 1);
    root.conv('post_quant_conv', latentChannels, latentChannels, 1);
  }
}

function middle(at: Tensors): void {
  residual(at.at('mid.block_1'), deepest, deepest);
  at.norm('mid.attn_1.norm', deepest);
  for (const part of ['q', 'k', 'v', 'proj_out']) at.conv(`mid.attn_1.${part}`, deepest, deepest, 1);
  residual(at.at('mid.block_2'), deepest, deepest);
}

function residual(at: Tensors, input: number, output: number): void {
  at.norm('norm1', input);
  at.conv('conv1', input, output, 3);
  at.norm('norm2', output);
  at.conv('conv2', output, output, 3);
  if (input !== output) at.conv('nin_shortcut', input, output, 1);
}

type TaesdLayer = 'block' | 'resample' | 'activation' | { readonly from: number; readonly to: number };

/** TAESD's two halves, which SDXS carries in place of a VAE; `root` is `first_stage_model`. */
export function taesd(root: Tensors): void {
  const width = 64;
  const blocks = ['block', 'block', 'block'] as const;
  const down = ['resample', ...blocks] as const;
  const up = [...blocks, 'activation', 'resample'] as const;
  const outside = (from: number, to: number): TaesdLayer => ({ from, to });
  layers(root.at('encoder.layers'), [outside(3, width), 'block', ...down, ...down, ...down, outside(width, 4)]);
  layers(root.at('decoder.layers'), [outside(4, width), 'activation', ...up, ...up, ...up, 'block', outside(width, 3)]);
}

function layers(at: Tensors, plan: readonly TaesdLayer[]): void {
  const width = 64;
  // There are no norms, and an activation that takes half away: weights of this size keep the signal.
  const conv = (name: string, input: number, output: number): void => {
    at.add(`${name}.weight`, [output, input, 3, 3], { fanIn: (input * 9) / 8 });
  };
  const bias = (name: string, output: number): void => {
    at.add(`${name}.bias`, [output], { constant: 0 });
  };
  plan.forEach((layer, index) => {
    if (layer === 'activation') return;
    if (layer === 'resample') {
      conv(String(index), width, width);
      return;
    }
    const convolutions = layer === 'block' ? ['conv.0', 'conv.2', 'conv.4'].map((name) => `.${name}`) : [''];
    const { from, to } = layer === 'block' ? { from: width, to: width } : layer;
    for (const suffix of convolutions) {
      conv(`${String(index)}${suffix}`, from, to);
      bias(`${String(index)}${suffix}`, to);
    }
  });
}
