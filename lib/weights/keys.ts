import type { TensorHeader } from '../model/index.js';

/** What a tensor of a LoRA file is to its module. */
export type PartName =
  | 'up'
  | 'down'
  | 'mid'
  | 'up_bias'
  | 'alpha'
  | 'scale'
  | 'dora'
  | 'w1_a'
  | 'w1_b'
  | 'w2_a'
  | 'w2_b'
  | 't1'
  | 't2'
  | 'w1'
  | 'w2'
  | 'diff'
  | 'diff_b'
  | 'blocks'
  | 'rotations'
  | 'rescale'
  | 'a1'
  | 'a2'
  | 'b1'
  | 'b2'
  | 'weight'
  | 'on_input';

/** Tensors of one module, by their part. `lokr` and `hada` share names of parts, so the family is kept. */
export interface LoraModule {
  /** Name in the file, without the suffix of the part. */
  readonly base: string;
  readonly parts: ReadonlyMap<PartName, TensorHeader>;
  readonly family: 'lokr' | 'hada' | undefined;
}

/** Suffixes of keys: kohya, LyCORIS, A1111 and ComfyUI; diffusers and PEFT; older diffusers. The longest wins. */
const suffixes: readonly (readonly [string, PartName, ('lokr' | 'hada')?])[] = [
  ['.lora_up.weight', 'up'],
  ['.lora_down.weight', 'down'],
  ['.lora_mid.weight', 'mid'],
  ['.lora_up.bias', 'up_bias'],
  ['.lora_B.weight', 'up'],
  ['.lora_A.weight', 'down'],
  ['.lora_B.bias', 'up_bias'],
  ['.lora_B.default.weight', 'up'],
  ['.lora_A.default.weight', 'down'],
  ['.lora_B.default.bias', 'up_bias'],
  ['.lora_B', 'up'],
  ['.lora_A', 'down'],
  ['.lora.up.weight', 'up'],
  ['.lora.down.weight', 'down'],
  ['.lora.mid.weight', 'mid'],
  ['_lora.up.weight', 'up'],
  ['_lora.down.weight', 'down'],
  ['.lora_linear_layer.up.weight', 'up'],
  ['.lora_linear_layer.down.weight', 'down'],
  ['.alpha', 'alpha'],
  ['.scale', 'scale'],
  ['.dora_scale', 'dora'],
  ['.lora_magnitude_vector', 'dora'],
  ['.lora_magnitude_vector.weight', 'dora'],
  ['.lora_magnitude_vector.default.weight', 'dora'],
  ...(['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'] as const).map((part) => [`.hada_${part}`, part, 'hada'] as const),
  ...(['w1', 'w1_a', 'w1_b', 'w2', 'w2_a', 'w2_b', 't2'] as const).map(
    (part) => [`.lokr_${part}`, part, 'lokr'] as const,
  ),
  ['.diff', 'diff'],
  ['.diff_b', 'diff_b'],
  ['.w_norm', 'diff'],
  ['.b_norm', 'diff_b'],
  ['.oft_blocks', 'blocks'],
  ['.oft_diag', 'rotations'],
  ['.rescale', 'rescale'],
  ...(['a1', 'a2', 'b1', 'b2'] as const).map((part) => [`.${part}.weight`, part] as const),
  ['.on_input', 'on_input'],
  ['.weight', 'weight'],
];
const longestFirst = [...suffixes].sort(([a], [b]) => b.length - a.length);

/** Groups the tensors of a file by module. `rest`: keys of no known form. */
export function groupModules(tensors: readonly TensorHeader[]): {
  readonly modules: readonly LoraModule[];
  readonly rest: readonly string[];
} {
  const modules = new Map<string, { parts: Map<PartName, TensorHeader>; family: LoraModule['family'] }>();
  const rest: string[] = [];
  for (const tensor of tensors) {
    const form = longestFirst.find(([suffix]) => tensor.name.endsWith(suffix));
    if (form === undefined) {
      rest.push(tensor.name);
      continue;
    }
    const [suffix, part, family] = form;
    const base = tensor.name.slice(0, -suffix.length);
    const module = modules.get(base) ?? { parts: new Map<PartName, TensorHeader>(), family: undefined };
    module.parts.set(part, tensor);
    module.family ??= family;
    modules.set(base, module);
  }
  return { modules: [...modules].map(([base, module]) => ({ base, ...module })), rest };
}
