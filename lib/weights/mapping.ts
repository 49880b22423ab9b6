import type { JobScope, NativeModel } from '../native/index.js';
import { deltasOf, factsOf, type ModuleDelta } from './deltas.js';
import type { LoraFile } from './loraFile.js';
import type { ModulePlace, TensorIndex } from './tensorIndex.js';
import type { DeltaKind } from './types.js';

/** What a file means for a model, before weights. */
export interface MappedLora {
  readonly file: LoraFile;
  readonly deltas: readonly (ModuleDelta & { readonly base: string })[];
  readonly kinds: readonly (DeltaKind | 'dora')[];
  readonly rank: { readonly min: number; readonly max: number } | null;
  readonly matched: number;
  readonly unmatchedKeys: readonly string[];
}

/** Finds the tensors of every module: first by the model's own names, then by the engine's tables of architectures. */
export async function mapLora(
  file: LoraFile,
  index: TensorIndex,
  native: NativeModel,
  scope: JobScope,
): Promise<MappedLora> {
  const places = new Map<string, ModulePlace>();
  const unknown: string[] = [];
  for (const { base } of file.modules) {
    const place = index.own(base);
    if (place === undefined) unknown.push(base);
    else places.set(base, place);
  }
  if (unknown.length > 0) await convert(unknown, places, index, native, scope);

  const deltas: MappedLora['deltas'][number][] = [];
  const kinds = new Set<DeltaKind | 'dora'>();
  const ranks: number[] = [];
  const unmatchedKeys: string[] = [...file.rest];
  let matched = 0;
  for (const module of file.modules) {
    const { kind, isDora, rank } = factsOf(module);
    const place = places.get(module.base);
    const found = deltasOf(file, module, place?.weight, place?.bias);
    unmatchedKeys.push(...found.unused);
    if (found.deltas.length === 0) continue;
    matched++;
    if (kind !== undefined) kinds.add(kind);
    if (isDora) kinds.add('dora');
    if (rank !== undefined) ranks.push(rank);
    for (const delta of found.deltas) deltas.push({ ...delta, base: module.base });
  }
  return {
    file,
    deltas,
    kinds: [...kinds].sort(),
    rank: ranks.length === 0 ? null : { min: Math.min(...ranks), max: Math.max(...ranks) },
    matched,
    unmatchedKeys,
  };
}

/** Parts of diffusers names that hold an underscore of their own; underscores between parts stand for dots. */
const words = [
  ...['single_transformer_blocks', 'transformer_blocks', 'down_blocks', 'up_blocks', 'mid_block', 'noise_refiner'],
  ...['context_refiner', 'feed_forward', 'adaLN_modulation', 'all_x_embedder', 'all_final_layer', 'cap_embedder'],
  ...['time_text_embed', 'timestep_embedder', 'text_embedder', 'guidance_embedder', 'context_embedder', 'x_embedder'],
  ...['pos_embed', 'time_embedding', 'add_embedding', 'time_emb_proj', 'linear_1', 'linear_2', 'norm1_context'],
  ...['norm2_context', 'norm_added_q', 'norm_added_k', 'norm_out', 'norm_q', 'norm_k', 'ff_context', 'to_add_out'],
  ...['to_out', 'to_q', 'to_k', 'to_v', 'add_q_proj', 'add_k_proj', 'add_v_proj', 'proj_mlp', 'proj_in', 'proj_out'],
  ...['conv_in', 'conv_out', 'conv_norm_out', 'conv_shortcut'],
];
const underscores = new RegExp(`(${words.join('|')})|_`, 'g');
const underscored = /^(?:lora|lycoris|oft)_(?:unet_|transformer_(?!blocks_))?(?!te\d?_|vae_)/;

/** Names that the engine's table has, but loses the underscore of when they come from a LoRA of a UNet. */
const embeddings: readonly (readonly [RegExp, string])[] = [
  [/\btime_embedding\.linear_1$/, 'time_embed.0'],
  [/\btime_embedding\.linear_2$/, 'time_embed.2'],
  [/\badd_embedding\.linear_1$/, 'label_emb.0.0'],
  [/\badd_embedding\.linear_2$/, 'label_emb.0.2'],
];

/** A module's name with dots, as diffusers has it. */
export function dotted(base: string): string {
  if (!underscored.test(base)) return base;
  return base.replace(underscored, '').replace(underscores, (_, word?: string) => word ?? '.');
}

/** The first of three parts that the tables leave without a number: `to_q` is `qkv`, `to_k` is `qkv.1`. */
const firstOfFused = /[._](?:to_q|add_q_proj)$/;

async function convert(
  bases: readonly string[],
  places: Map<string, ModulePlace>,
  index: TensorIndex,
  native: NativeModel,
  scope: JobScope,
): Promise<void> {
  const plain = bases.map((base) => base.replace(/^base_model\.model\./, '').replace('.processor', ''));
  const withDots = plain.map(dotted);
  const forms: readonly (readonly string[])[] = [
    plain,
    withDots.map((base) => `unet.${base.replace(/^(?:unet|transformer|diffusion_model)\./, '')}`),
  ];
  // With the ending of a weight and not of a LoRA: some entries of the tables are whole names.
  const converted = await scope.run(() => native.convertNames(forms.flat().map((base) => `${base}.weight`)));
  scope.check();
  const place = (base: string, found: ModulePlace | undefined): void => {
    if (found !== undefined && !places.has(base)) places.set(base, found);
  };
  for (const [at, base] of bases.entries()) {
    for (const [form] of forms.entries())
      place(base, index.converted(converted[form * bases.length + at] ?? '', firstOfFused.test(base)));
    const own = embeddings.find(([name]) => name.test(withDots[at] ?? ''))?.[1];
    if (own !== undefined) place(base, index.own(`unet.${own}`));
  }
}
