import type { Tensors } from './tensors.js';
import { residual, transformer, type UnetConfig } from './unet.js';

const [baseWidth, timeWidth] = [320, 1280] as const;

/** ControlNet of SD 1.x (the engine's control.hpp): the UNet's first half, whose results pass through convolutions of one pixel. */
export function controlNet(root: Tensors, config: UnetConfig): void {
  root.linear('time_embed.0', baseWidth, timeWidth);
  root.linear('time_embed.2', timeWidth, timeWidth);
  root.conv('input_blocks.0.0', config.inChannels, baseWidth, 3);
  let channels: number = baseWidth;
  let block = 0;
  const pass = (): void => {
    root.conv(`zero_convs.${String(block)}.0`, channels, channels, 1);
  };
  pass();
  config.multipliers.forEach((multiplier, level) => {
    for (let j = 0; j < config.residualBlocks; j += 1) {
      block += 1;
      const at = root.at(`input_blocks.${String(block)}`);
      residual(at.at('0'), channels, baseWidth * multiplier);
      channels = baseWidth * multiplier;
      const depth = config.transformerDepth[level] ?? 0;
      if (depth > 0) transformer(at.at('1'), channels, depth, config);
      pass();
    }
    if (level === config.multipliers.length - 1) return;
    block += 1;
    root.conv(`input_blocks.${String(block)}.0.op`, channels, channels, 3);
    pass();
  });
  residual(root.at('middle_block.0'), channels, channels);
  transformer(root.at('middle_block.1'), channels, 1, config);
  residual(root.at('middle_block.2'), channels, channels);
  root.conv('middle_block_out.0', channels, channels, 1);
  hint(root.at('input_hint_block'));
}

/** From the picture to the latent's size. */
function hint(at: Tensors): void {
  const widths = [3, 16, 16, 32, 32, 96, 96, 256, baseWidth];
  for (let i = 0; i + 1 < widths.length; i += 1) at.conv(String(2 * i), widths[i] ?? NaN, widths[i + 1] ?? NaN, 3);
}
