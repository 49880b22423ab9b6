// Names of diffusers' UNet2DConditionModel turned into those of the original LDM checkpoints. The block numbers 3i+j
// are the ones of the full SD1 UNet; the engine looks for the tiny UNet's blocks under the same numbers.

const whole: Readonly<Record<string, string>> = {
  'time_embedding.linear_1': 'time_embed.0',
  'time_embedding.linear_2': 'time_embed.2',
  conv_in: 'input_blocks.0.0',
  conv_norm_out: 'out.0',
  conv_out: 'out.2',
};

const resnetParts: Readonly<Record<string, string>> = {
  norm1: 'in_layers.0',
  conv1: 'in_layers.2',
  time_emb_proj: 'emb_layers.1',
  norm2: 'out_layers.0',
  conv2: 'out_layers.3',
  conv_shortcut: 'skip_connection',
};

const blockPattern = /^(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)$/;

/**
 * LDM name of a UNet parameter, without the prefix `model.diffusion_model.`.
 *
 * @throws RangeError for a name that has no counterpart, e.g. of a middle block.
 */
export function ldmUnetName(diffusers: string): string {
  const dot = diffusers.lastIndexOf('.');
  const suffix = diffusers.slice(dot);
  const plain = whole[diffusers.slice(0, dot)];
  if (plain !== undefined) return plain + suffix;

  const match = blockPattern.exec(diffusers);
  if (match === null) throw new RangeError(`No LDM name for ${diffusers}.`);
  const [, side, level, kind, layer, rest] = match as unknown as [string, string, string, string, string, string];
  const i = Number(level);
  const j = Number(layer);
  const number = side === 'down' ? 3 * i + j + 1 : 3 * i + j;
  const block = `${side === 'down' ? 'input' : 'output'}_blocks`;
  if (kind === 'downsamplers') return `input_blocks.${String(3 * (i + 1))}.0.op${suffix}`;
  // The deepest level of the full SD1 has no attention, so its upsampler comes second in the block, elsewhere third.
  if (kind === 'upsamplers') return `output_blocks.${String(3 * i + 2)}.${i === 0 ? '1' : '2'}.conv${suffix}`;
  if (kind === 'attentions') return `${block}.${String(number)}.1.${rest}`;
  const part = resnetParts[rest.slice(0, rest.lastIndexOf('.'))];
  if (part === undefined) throw new RangeError(`No LDM name for ${diffusers}.`);
  return `${block}.${String(number)}.0.${part}${suffix}`;
}
