/**
 * Names of modules in diffusers from those of the original checkpoints, the other way round from the engine's tables and
 * independent of them. Sources: huggingface/diffusers `scripts/convert_original_stable_diffusion_to_diffusers.py`,
 * `convert_flux_to_diffusers.py`, `convert_sd3_to_diffusers.py`, `loaders/single_file_utils.py` (Z-Image).
 */
type Names = readonly (readonly [RegExp, string | ((...groups: string[]) => string)])[];

const residual: Readonly<Record<string, string>> = {
  'in_layers.2': 'conv1',
  'out_layers.3': 'conv2',
  'emb_layers.1': 'time_emb_proj',
  skip_connection: 'conv_shortcut',
};
/** Each level of a UNet takes three places: residual blocks, with attention in place 1, and what changes the size. */
function side(name: string, index: string, place: string, rest: string): string {
  const [level, layer] = [Math.floor(Number(index) / 3), Number(index) % 3].map(String);
  if (rest === 'op') return `${name}.${level ?? ''}.downsamplers.0.conv`;
  if (rest === 'conv') return `${name}.${level ?? ''}.upsamplers.0.conv`;
  const kind = place === '0' ? 'resnets' : 'attentions';
  return `${name}.${level ?? ''}.${kind}.${layer ?? ''}.${residual[rest] ?? rest}`;
}

const unet: Names = [
  [/^input_blocks\.0\.0$/, 'conv_in'],
  [
    /^input_blocks\.(\d+)\.(\d)\.(.*)$/,
    (i = '', j = '', rest = '') => side('down_blocks', `${Number(i) - 1}`, j, rest),
  ],
  [/^output_blocks\.(\d+)\.(\d)\.(.*)$/, (i = '', j = '', rest = '') => side('up_blocks', i, j, rest)],
  [/^middle_block\.1\.(.*)$/, (rest = '') => `mid_block.attentions.0.${rest}`],
  [
    /^middle_block\.(0|2)\.(.*)$/,
    (i = '', rest = '') => `mid_block.resnets.${Number(i) / 2}.${residual[rest] ?? rest}`,
  ],
  [/^time_embed\.(0|2)$/, (i = '') => `time_embedding.linear_${1 + Number(i) / 2}`],
  [/^label_emb\.0\.(0|2)$/, (i = '') => `add_embedding.linear_${1 + Number(i) / 2}`],
  [/^out\.2$/, 'conv_out'],
];

const joint = (block: string, isText: boolean): Record<string, string> => ({
  attn: `${block}.attn.${isText ? 'add_q_proj,add_k_proj,add_v_proj' : 'to_q,to_k,to_v'}`,
  out: `${block}.attn.${isText ? 'to_add_out' : 'to_out.0'}`,
  up: `${block}.ff${isText ? '_context' : ''}.net.0.proj`,
  down: `${block}.ff${isText ? '_context' : ''}.net.2`,
  norm: `${block}.norm1${isText ? '_context' : ''}.linear`,
});
const roles: Readonly<Record<string, string>> = {
  ...{ 'attn.qkv': 'attn', 'attn.proj': 'out', 'mlp.0': 'up', 'mlp.fc1': 'up', 'mlp.2': 'down', 'mlp.fc2': 'down' },
  ...{ 'mod.lin': 'norm', 'adaLN_modulation.1': 'norm' },
};
const inBlock = (index: string, isText: boolean, rest: string): string =>
  joint(`transformer_blocks.${index}`, isText)[roles[rest] ?? ''] ?? '';
const embedder = (name: string, number: number): string => `time_text_embed.${name}_embedder.linear_${number}`;
const last: Names = [
  [/^final_layer\.linear$/, 'proj_out'],
  [/^final_layer\.adaLN_modulation\.1$/, 'norm_out.linear'],
];

const single: Readonly<Record<string, string>> = {
  ...{ linear1: 'attn.to_q,attn.to_k,attn.to_v,proj_mlp', linear2: 'proj_out', 'modulation.lin': 'norm.linear' },
};
const flux: Names = [
  [/^double_blocks\.(\d+)\.(img|txt)_(.*)$/, (i = '', stream = '', rest = '') => inBlock(i, stream === 'txt', rest)],
  [
    /^single_blocks\.(\d+)\.(.*)$/,
    (i = '', rest = '') =>
      (single[rest] ?? '')
        .split(',')
        .map((name) => `single_transformer_blocks.${i}.${name}`)
        .join(),
  ],
  [/^img_in$/, 'x_embedder'],
  [/^txt_in$/, 'context_embedder'],
  [
    /^(time|vector|guidance)_in\.(in|out)_layer$/,
    (what = '', which = '') => embedder({ time: 'timestep', vector: 'text' }[what] ?? what, which === 'in' ? 1 : 2),
  ],
  ...last,
];
const sd3: Names = [
  [
    /^joint_blocks\.(\d+)\.(x|context)_block\.(.*)$/,
    (i = '', of = '', rest = '') => inBlock(i, of === 'context', rest),
  ],
  [/^x_embedder\.proj$/, 'pos_embed.proj'],
  [/^([ty])_embedder\.mlp\.(0|2)$/, (of = '', i = '') => embedder(of === 't' ? 'timestep' : 'text', 1 + Number(i) / 2)],
  ...last,
];
const zImage: Names = [
  [/^(.*)\.attention\.qkv$/, (block = '') => `${block}.attention.to_q,to_k,to_v`],
  [/^(.*)\.attention\.out$/, (block = '') => `${block}.attention.to_out.0`],
  [/^x_embedder$/, 'all_x_embedder.2-1'],
  [/^final_layer\.(.*)$/, (rest = '') => `all_final_layer.2-1.${rest}`],
];

/** `same`: diffusers keeps the original names, or the engine has no table for them. */
export type Family = 'unet' | 'flux' | 'sd3' | 'z-image' | 'same';
const families: Readonly<Record<Family, Names>> = { unet, flux, sd3, 'z-image': zImage, same: [] };

/** Modules of diffusers that a module of the original is made of, in the order of its rows; most often one. */
export function diffusersNames(family: Family, original: string): string[] {
  for (const [pattern, to] of families[family]) {
    const found = pattern.exec(original);
    if (found === null) continue;
    const [first = '', ...others] = (typeof to === 'string' ? to : to(...found.slice(1))).split(',');
    const block = first.slice(0, first.lastIndexOf('.') + 1);
    return [first, ...others.map((name) => (name.includes('.') ? name : block + name))];
  }
  return [original];
}
