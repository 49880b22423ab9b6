import type { TensorHeader } from './types.js';

/** Parts of a model that tensor names give away. */
export type ComponentName = 'diffusionModel' | 'vae' | 'textEncoders' | 'clipVision' | 'controlNet' | 'taesd';

/** What a file is for. `checkpoint` has a diffusion model with other parts or the usual prefix of a checkpoint. */
export type ModelKind =
  | 'checkpoint'
  | 'diffusionModel'
  | 'vae'
  | 'taesd'
  | 'textEncoder'
  | 'clipVision'
  | 'controlnet'
  | 'lora'
  | 'embedding'
  | 'hypernetwork'
  | 'upscaler'
  | 'unknown';

/** Names after which a file is an addition to a model, not a model. Order matters: the first match decides. */
const additions: readonly (readonly [ModelKind, RegExp])[] = [
  // kohya, diffusers, PEFT, LoHa, LoKr, OFT and full-difference names.
  [
    'lora',
    /(?:^|\.)lora_(?:unet|te\d?|transformer)_|[._]lora[._](?:up|down|mid|[AB])\b|\.lora_linear_layer\.|\.hada_w[12]_[ab]$|\.lokr_w[12](?:_[ab])?$|\.oft_(?:blocks|diag)$|\.dora_scale$/,
  ],
  ['hypernetwork', /^\d+\.[01]\.(?:linear|linear1|linear2)\./],
  [
    'controlnet',
    /^(?:control_model\.)?(?:input_hint_block|zero_convs)\.|^controlnet_(?:cond_embedding|down_blocks|mid_block)|^(?:control_model\.)/,
  ],
  [
    'upscaler',
    /^model\.1\.sub\.\d+\.RDB\d\.|^body\.\d+\.rdb\d\.conv\d\.|^RRDB_trunk\.|^upsampler\.mmv1|^layers\.\d+\.residual_group\./,
  ],
];

const checkpointParts: readonly (readonly [ComponentName, RegExp])[] = [
  ['diffusionModel', /^(?:model\.diffusion_model|unet)\./],
  ['vae', /^(?:first_stage_model|vae)\./],
  ['textEncoders', /^(?:cond_stage_model|conditioner|text_encoders|te)\./],
  ['clipVision', /^(?:embedder\.open_clip\.model\.visual|clip_vision)\./],
  ['taesd', /^tae\./],
];

/** Files that hold one part alone have names without a prefix. */
const soleParts: readonly (readonly [ComponentName, ModelKind, RegExp])[] = [
  // AutoencoderTiny of diffusers, and the original with its numbered layers.
  ['taesd', 'taesd', /^(?:taesd_)?(?:decoder|encoder)\.(?:layers\.)?\d+\.(?:weight|conv\.\d+\.)/],
  [
    'vae',
    'vae',
    /^(?:decoder|encoder)\.(?:conv_in|conv1|mid|mid_block|up|down|up_blocks|down_blocks|middle|upsamples|downsamples)\./,
  ],
  [
    'textEncoders',
    'textEncoder',
    /^(?:text_model|transformer\.text_model|transformer\.resblocks|model\.transformer\.resblocks)\.|^encoder\.block\.\d+\.layer\.|^(?:enc\.)?blk\.\d+\.|^(?:language_)?model\.(?:language_model\.)?layers\.\d+\.self_attn\./,
  ],
  ['clipVision', 'clipVision', /^(?:vision_model|visual)\.|^v\.blk\.\d+\./],
  [
    'diffusionModel',
    'diffusionModel',
    /^(?:diffusion_model\.)?(?:input_blocks|middle_block|output_blocks|down_blocks|mid_block|up_blocks|double_blocks|single_blocks|joint_blocks|transformer_blocks|single_transformer_blocks|noise_refiner|context_refiner)\.|^(?:diffusion_model\.)?blocks\.\d+\.(?:cross_attn|self_attn|attn)\./,
  ],
];

/** Textual inversion: one or a few small matrices of known names (A1111, SDXL pairs, diffusers). */
function isEmbedding(tensors: readonly TensorHeader[]): boolean {
  const [first] = tensors;
  if (first === undefined || tensors.length > 4) return false;
  return tensors.every((tensor) => tensor.shape.length <= 2 && /^(?:emb_params|\*|clip_[lg]|<.+>)$/.test(tensor.name));
}

/** Recognises what a set of tensors is, by their names alone. */
export function classify(tensors: readonly TensorHeader[]): { kind: ModelKind; components: ComponentName[] } {
  const has = (pattern: RegExp) => tensors.some((tensor) => pattern.test(tensor.name));
  if (isEmbedding(tensors)) return { kind: 'embedding', components: [] };
  const components = checkpointParts.filter(([, pattern]) => has(pattern)).map(([name]) => name);
  if (components.includes('diffusionModel') && !has(additions[0]?.[1] ?? /$^/)) {
    if (has(/^control_model\./)) components.push('controlNet');
    return { kind: 'checkpoint', components };
  }
  for (const [kind, pattern] of additions) {
    if (has(pattern)) return { kind, components: kind === 'controlnet' ? ['controlNet'] : [] };
  }
  const [only] = components;
  if (only !== undefined) return { kind: kindOfPart[only], components };
  const found = soleParts.find(([, , pattern]) => has(pattern));
  return found === undefined ? { kind: 'unknown', components: [] } : { kind: found[1], components: [found[0]] };
}

const kindOfPart: Readonly<Record<ComponentName, ModelKind>> = {
  diffusionModel: 'diffusionModel',
  vae: 'vae',
  textEncoders: 'textEncoder',
  clipVision: 'clipVision',
  controlNet: 'controlnet',
  taesd: 'taesd',
};
