import type { Tensors } from './tensors.js';

/** Shape of an LDM UNet (`ldm.modules.diffusionmodules.openaimodel.UNetModel`; the engine's unet.hpp). */
export interface UnetConfig {
  readonly inChannels: number;
  readonly contextWidth: number;
  /** Width of a level is 320 times this. */
  readonly multipliers: readonly number[];
  /** Transformer blocks of an attention layer by level; 0: the level has no attention. */
  readonly transformerDepth: readonly number[];
  /** Transformer blocks in the middle; `first residual`: only that (SSD-1B, Vega); `none`: no middle block at all. */
  readonly middle: number | 'first residual' | 'none';
  /** Depth of single layers that differ from their level's, by `in` or `out`, level and layer of the level (SSD-1B). */
  readonly depthOf?: (side: 'in' | 'out', level: number, layer: number) => number | undefined;
  readonly residualBlocks: number;
  /** Projections of the transformer as linear layers (SD2, SDXL) instead of 1x1 convolutions (SD1). */
  readonly linearProjection: boolean;
  /** Width of the size and pooled-text conditioning; undefined: none. */
  readonly vectorWidth?: number;
  /** Width that the self attention of the first level reads (SDXS-09 reads the text a second time there). */
  readonly selfContextWidth?: number;
  /** Block numbers of two residual blocks a level while there is one (the distilled "tiny" UNets). */
  readonly tiny?: boolean;
}

const baseWidth = 320;
const timeWidth = 1280;

export function unet(root: Tensors, config: UnetConfig): void {
  const width = (level: number): number => baseWidth * (config.multipliers[level] ?? NaN);
  const depth = (level: number, side: 'in' | 'out', layer: number): number =>
    config.depthOf?.(side, level, layer) ?? config.transformerDepth[level] ?? 0;
  const levels = config.multipliers.length;

  root.linear('time_embed.0', baseWidth, timeWidth);
  root.linear('time_embed.2', timeWidth, timeWidth);
  if (config.vectorWidth !== undefined) {
    root.linear('label_emb.0.0', config.vectorWidth, timeWidth);
    root.linear('label_emb.0.2', timeWidth, timeWidth);
  }
  root.conv('input_blocks.0.0', config.inChannels, baseWidth, 3);

  const skips = [baseWidth];
  let channels = baseWidth;
  let block = 0;
  for (let level = 0; level < levels; level += 1) {
    for (let j = 0; j < config.residualBlocks; j += 1) {
      block += 1;
      layer(root.at(`input_blocks.${String(block)}`), channels, width(level), depth(level, 'in', j), config);
      channels = width(level);
      skips.push(channels);
    }
    if (config.tiny === true) block += 1;
    if (level === levels - 1) break;
    block += 1;
    root.conv(`input_blocks.${String(block)}.0.op`, channels, channels, 3);
    skips.push(channels);
  }

  const middle = root.at('middle_block');
  if (config.middle !== 'none') residual(middle.at('0'), channels, channels);
  if (typeof config.middle === 'number') {
    transformer(middle.at('1'), channels, config.middle, config);
    residual(middle.at('2'), channels, channels);
  }

  block = 0;
  for (let level = levels - 1; level >= 0; level -= 1) {
    for (let j = 0; j <= config.residualBlocks; j += 1) {
      const skip = skips.pop() ?? NaN;
      layer(root.at(`output_blocks.${String(block)}`), channels + skip, width(level), depth(level, 'out', j), config);
      channels = width(level);
      if (level > 0 && j === config.residualBlocks) {
        if (config.tiny === true) block += 1;
        // After the attention where there is one; the engine looks for the tiny UNet's first one right after the block.
        const place = depth(level, 'out', j) > 0 && !(config.tiny === true && block === 2) ? '2' : '1';
        root.conv(`output_blocks.${String(block)}.${place}.conv`, channels, channels, 3);
      }
      block += 1;
    }
  }
  root.norm('out.0', baseWidth);
  root.conv('out.2', baseWidth, 4, 3);
}

function layer(at: Tensors, input: number, output: number, depth: number, config: UnetConfig): void {
  residual(at.at('0'), input, output);
  if (depth > 0) transformer(at.at('1'), output, depth, config);
}

export function residual(at: Tensors, input: number, output: number): void {
  at.norm('in_layers.0', input);
  at.conv('in_layers.2', input, output, 3);
  at.linear('emb_layers.1', timeWidth, output);
  at.norm('out_layers.0', output);
  at.conv('out_layers.3', output, output, 3);
  if (input !== output) at.conv('skip_connection', input, output, 1);
}

export function transformer(at: Tensors, width: number, depth: number, config: UnetConfig): void {
  const project = (name: string): void => {
    if (config.linearProjection) at.linear(name, width, width);
    else at.conv(name, width, width, 1);
  };
  at.norm('norm', width);
  project('proj_in');
  for (let i = 0; i < depth; i += 1) {
    const block = at.at(`transformer_blocks.${String(i)}`);
    const first = width === baseWidth ? config.selfContextWidth : undefined;
    attention(block.at('attn1'), width, first ?? width);
    attention(block.at('attn2'), width, config.contextWidth);
    block.linear('ff.net.0.proj', width, width * 8);
    block.linear('ff.net.2', width * 4, width);
    for (const name of ['norm1', 'norm2', 'norm3']) block.norm(name, width);
  }
  project('proj_out');
}

function attention(at: Tensors, width: number, contextWidth: number): void {
  at.linear('to_q', width, width, false);
  at.linear('to_k', contextWidth, width, false);
  at.linear('to_v', contextWidth, width, false);
  at.linear('to_out.0', width, width);
}
