import {
  gguf,
  safetensorsOf,
  type GgufTensor,
  ggufKey,
  ggufString,
  torchLegacy,
  torchZip,
  u32,
  u64,
} from '../../support/formatFixtures.js';
import { upscalerTensors } from '../../support/upscaler.js';
import { type SyntheticKind, syntheticKinds, syntheticTensors } from '../../support/synthetic/index.js';

export type Container = 'safetensors' | 'gguf' | 'zip' | 'legacy';
export const containers = ['safetensors', 'gguf', 'zip', 'legacy'] as const satisfies readonly Container[];

/** Families by the names of their tensors; each is a valid file, of the right names and of narrow shapes. */
export interface Seed {
  readonly family: string;
  readonly tensors: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

const extra: Record<string, readonly (readonly [string, readonly number[]])[]> = {
  upscaler: [
    ['conv_first.weight', [4, 3, 3, 3]],
    ['body.0.rdb1.conv1.weight', [4, 4, 3, 3]],
    ['body.1.rdb3.conv5.bias', [4]],
    ['conv_up1.weight', [4, 4, 3, 3]],
  ],
  'upscaler-old': [
    ['model.0.weight', [4, 3, 3, 3]],
    ['model.1.sub.0.RDB1.conv1.0.weight', [4, 4, 3, 3]],
    ['model.10.weight', [3, 4, 3, 3]],
  ],
  controlnet: [
    ['control_model.input_hint_block.0.weight', [4, 3, 3, 3]],
    ['control_model.zero_convs.0.0.weight', [4, 4, 1, 1]],
    ['control_model.input_blocks.0.0.weight', [4, 4, 3, 3]],
  ],
  taesd: [
    ['decoder.layers.0.weight', [4, 4, 3, 3]],
    ['encoder.layers.0.weight', [4, 3, 3, 3]],
  ],
  lora: [
    ['lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight', [2, 4]],
    ['lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight', [4, 2]],
  ],
  qwen: [
    ['model.diffusion_model.transformer_blocks.0.img_mod.1.weight', [8, 4]],
    ['model.diffusion_model.transformer_blocks.1.attn.to_q.weight', [4, 4]],
    ['text_encoders.llm.model.layers.3.self_attn.q_proj.weight', [4, 4]],
  ],
  wan: [
    ['model.diffusion_model.blocks.0.cross_attn.norm_k.weight', [8]],
    ['model.diffusion_model.blocks.1.self_attn.q.weight', [8, 8]],
    ['model.diffusion_model.patch_embedding.weight', [8, 4, 1, 2, 2]],
  ],
  'z-image': [
    ['model.diffusion_model.cap_embedder.0.weight', [8]],
    ['model.diffusion_model.noise_refiner.0.attention.qkv.weight', [24, 8]],
    ['model.diffusion_model.layers.2.attention.qkv.weight', [24, 8]],
  ],
  flux2: [
    ['model.diffusion_model.single_stream_modulation.lin.weight', [8, 8]],
    ['model.diffusion_model.double_blocks.0.img_attn.qkv.weight', [24, 8]],
    ['model.diffusion_model.single_blocks.3.linear1.weight', [24, 8]],
  ],
};

function narrow(kind: SyntheticKind): Seed {
  // A few hundred names would make every case slow; the first of each block and the telling ones are kept.
  const all = syntheticTensors(kind);
  const step = Math.max(1, Math.floor(all.length / 60));
  const telling =
    /token_embedding|input_blocks\.0\.0|time_embed\.0|joint_blocks|double_blocks\.0|single_blocks|proj_out|guidance|conv_in/;
  const tensors = all
    .filter(({ name }, index) => index % step === 0 || (telling.test(name) && index % 3 === 0))
    .map(({ name, shape }) => ({
      name,
      shape: shape.map((size, axis) => (axis === 1 && /embedding|attn2\.to_k/.test(name) ? size : Math.min(size, 4))),
    }));
  return { family: kind, tensors };
}

export const seeds: readonly Seed[] = [
  ...syntheticKinds.map(narrow),
  ...Object.entries(extra).map(([family, list]) => ({
    family,
    tensors: list.map(([name, shape]) => ({ name, shape })),
  })),
  // The only architecture whose whole is small: what is left of it can be loaded. In a sixth of all cases.
  ...([2, 4, 2, 4, 2, 4, 2, 4] as const).map((scale) => ({
    family: 'upscaler-whole',
    tensors: upscalerTensors(scale),
  })),
];

/** The bytes of a seed in a container. */
export function write({ tensors }: Seed, container: Container): Buffer {
  if (container === 'safetensors')
    return safetensorsOf(Object.fromEntries(tensors.map(({ name, shape }) => [name, shape])), { format: 'pt' });
  if (container === 'gguf') return writeGguf(tensors);
  const torch = tensors.map(({ name, shape }, index) => {
    const elements = shape.reduce((a, b) => a * b, 1);
    return { name, storage: String(index), elements, shape, type: 'HalfStorage' };
  });
  return container === 'zip' ? torchZip(torch) : torchLegacy(torch);
}

function writeGguf(tensors: Seed['tensors']): Buffer {
  let offset = 0;
  const infos = tensors
    .filter(({ shape }) => shape.length <= 4)
    .map(({ name, shape }): GgufTensor => {
      const at = offset;
      offset += Math.ceil((shape.reduce((a, b) => a * b, 1) * 2) / 32) * 32;
      return { name, dims: [...shape].reverse(), type: 1, offset: at };
    });
  const keys = [
    ggufKey('general.architecture', 8, ggufString('diffusion')),
    ggufKey('general.alignment', 4, u32(32)),
    ggufKey('list', 9, Buffer.concat([u32(4), u64(2), u32(1), u32(2)])),
  ];
  return gguf({ tensors: infos, data: offset, keys });
}
