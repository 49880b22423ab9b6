import type { NativeTensorInfo } from '../native/index.js';

export type ComponentOf = 'textEncoder' | 'diffusionModel' | 'vae';

/** A tensor of the model, and the slice of it that a name means: parts of fused projections are counted from 0. */
export interface Place {
  readonly tensor: NativeTensorInfo;
  readonly slice: number | undefined;
  /** The file has the second half of the rows first: diffusers keeps scale and shift the other way round. */
  readonly isSwapped?: boolean;
}

/** Where a module of a LoRA belongs. */
export interface ModulePlace {
  readonly weight: Place | undefined;
  readonly bias: Place | undefined;
}

const diffusion = 'model.diffusion_model.';

/** Prefixes of text encoders in the engine's names, and what the module names of LoRA files begin with. */
const encoders: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    'cond_stage_model.1.transformer.',
    ['te2'],
    ['text_encoder_2.', 'clip_g.transformer.', 'text_encoders.clip_g.transformer.'],
  ],
  [
    'cond_stage_model.transformer.',
    ['te', 'te1'],
    ['text_encoder.', 'clip_l.transformer.', 'text_encoders.clip_l.transformer.'],
  ],
  ['text_encoders.clip_l.transformer.', ['te', 'te1'], ['text_encoder.', 'clip_l.transformer.']],
  ['text_encoders.clip_g.transformer.', ['te2'], ['text_encoder_2.', 'clip_g.transformer.']],
  ['text_encoders.t5xxl.transformer.', ['te3', 'te2'], ['text_encoder_3.', 'text_encoder_2.', 't5xxl.transformer.']],
  ['text_encoders.llm.', ['te'], ['text_encoder.', 'llm.']],
];

export function componentOf(tensor: string): ComponentOf {
  if (tensor.startsWith(diffusion)) return 'diffusionModel';
  return tensor.startsWith('cond_stage_model.') || tensor.startsWith('text_encoders.') ? 'textEncoder' : 'vae';
}

/** Block of a tensor of the diffusion model: `IN04`, `M00`, `OUT11`; `double_blocks.3` and the like; else `BASE`. */
export function blockOf(tensor: string): string {
  if (!tensor.startsWith(diffusion)) return 'BASE';
  const [, kind = '', number = ''] = /^([a-z_]+)\.(\d+)\./.exec(tensor.slice(diffusion.length)) ?? [];
  if (kind === 'input_blocks') return `IN${number.padStart(2, '0')}`;
  if (kind === 'output_blocks') return `OUT${number.padStart(2, '0')}`;
  if (kind === 'middle_block') return 'M00';
  return kind === '' || kind === 'time_embed' || kind === 'label_emb' || kind === 'out' ? 'BASE' : `${kind}.${number}`;
}

/** Modulations of two rows for each input (those without a gate: the last layers) are swapped in diffusers. */
function swapped(stem: string, place: ModulePlace | undefined): ModulePlace | undefined {
  const [rows, columns = 0] = place?.weight?.tensor.shape ?? [];
  if (place === undefined || !stem.endsWith('.adaLN_modulation.1') || rows !== 2 * columns) return place;
  const swap = (one: Place | undefined): Place | undefined => one && { ...one, isSwapped: true };
  return { weight: swap(place.weight), bias: swap(place.bias) };
}

/** Finds the tensors that modules of LoRA files mean. */
export class TensorIndex {
  readonly #tensors: ReadonlyMap<string, NativeTensorInfo>;
  /** Module names as files may have them, to the engine's name without `.weight`. */
  readonly #names = new Map<string, string>();

  constructor(tensors: readonly NativeTensorInfo[]) {
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    for (const { name } of tensors) this.#add(name.replace(/\.(?:weight|bias|scale)$/, ''));
  }

  get blocks(): ReadonlySet<string> {
    return new Set([...this.#tensors.keys()].map(blockOf));
  }

  tensor(name: string): NativeTensorInfo | undefined {
    return this.#tensors.get(name);
  }

  /** By the names that need no table of an architecture: the model's own, dotted or with underscores. */
  own(base: string): ModulePlace | undefined {
    const plain = base.replace(/^base_model\.model\./, '').replace('.processor', '');
    for (const name of [plain, plain.toLowerCase(), `${plain}.0`, `${plain}_0`]) {
      const stem = this.#names.get(name);
      const place = stem === undefined ? undefined : this.#place(stem);
      if (place !== undefined) return place;
    }
    return undefined;
  }

  /**
   * By a name that the engine has converted, e.g. `….qkv.weight.1`. Its tables number all parts of a fused projection
   * but the first.
   * @param isFirst the module is such a first part when its tensor is a fused one.
   */
  converted(name: string, isFirst = false): ModulePlace | undefined {
    const [, stem = '', number] = /^(.*?)(?:\.weight)?(?:\.(\d+))?$/.exec(name) ?? [];
    const slice = number ?? (isFirst && /\.(?:qkv|linear1)$/.test(stem) ? '0' : undefined);
    return swapped(stem, this.#place(stem, slice) ?? this.#place(`${stem}.0`, slice));
  }

  #place(stem: string, slice?: string): ModulePlace | undefined {
    const find = (name: string, part: number | undefined): ModulePlace | undefined => {
      const at = (kind: string): Place | undefined => {
        const tensor =
          this.#tensors.get(`${name}.${kind}`) ?? (kind === 'weight' ? this.#tensors.get(name) : undefined);
        return tensor === undefined ? undefined : { tensor, slice: part };
      };
      const [weight, bias] = [at('weight') ?? at('scale'), at('bias')];
      return weight === undefined && bias === undefined ? undefined : { weight, bias };
    };
    const direct = find(stem, slice === undefined ? undefined : Number(slice));
    if (direct !== undefined) return direct;
    // OpenCLIP keeps the three projections of attention in one tensor.
    const fused = /^(.*\.self_attn)\.([qkv])_proj$/.exec(stem);
    return fused === null ? undefined : find(`${fused[1] ?? ''}.in_proj`, 'qkv'.indexOf(fused[2] ?? ''));
  }

  #add(stem: string): void {
    const put = (name: string, to: string): void => {
      if (!this.#names.has(name)) this.#names.set(name, to);
    };
    const both = (short: string, dotted: readonly string[], underscored: readonly string[], to: string): void => {
      for (const prefix of dotted) put(prefix + short, to);
      for (const prefix of underscored) put(`${prefix}${short.replaceAll('.', '_')}`, to);
    };
    put(stem, stem);
    if (stem.startsWith(diffusion)) {
      const dotted = ['unet.', 'diffusion_model.', 'transformer.', ''];
      both(
        stem.slice(diffusion.length),
        dotted,
        ['lora_unet_', 'lycoris_', 'lycoris_unet_', 'lora_transformer_', 'oft_unet_'],
        stem,
      );
      return;
    }
    if (stem.startsWith('first_stage_model.')) {
      both(stem.slice('first_stage_model.'.length), ['vae.'], ['lora_vae_'], stem);
      return;
    }
    const [prefix, short, dotted] = encoders.find(([start]) => stem.startsWith(start)) ?? [];
    if (prefix === undefined || short === undefined || dotted === undefined) return;
    const rest = stem.slice(prefix.length);
    const underscored = short.flatMap((name) => [`lora_${name}_`, `lycoris_${name}_`]);
    const names = rest.endsWith('.self_attn.in_proj')
      ? ['q_proj', 'k_proj', 'v_proj'].map((p) => rest.replace('in_proj', p))
      : [rest];
    for (const name of names) both(name, dotted, underscored, prefix + name);
    // The engine keeps it inside the text model, transformers and with it all LoRA files beside it.
    if (rest === 'text_model.text_projection') both('text_projection', [prefix, ...dotted], underscored, stem);
  }
}
