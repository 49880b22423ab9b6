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

async function convert(
  bases: readonly string[],
  places: Map<string, ModulePlace>,
  index: TensorIndex,
  native: NativeModel,
  scope: JobScope,
): Promise<void> {
  const plain = bases.map((base) => base.replace(/^base_model\.model\./, '').replace('.processor', ''));
  const ending = '.lora_down.weight';
  const forms: readonly (readonly string[])[] = [
    plain,
    plain.map((base) => `unet.${base}`),
    plain.map((base) => `transformer.${base}`),
  ];
  const converted = await scope.run(() => native.convertNames(forms.flat().map((base) => base + ending)));
  scope.check();
  for (const [form] of forms.entries()) {
    for (const [at, base] of bases.entries()) {
      const name = converted[form * bases.length + at];
      if (name === undefined || places.has(base)) continue;
      const place = index.converted(name.replace(/\.lora_down(?:\.weight)?$/, ''));
      if (place !== undefined) places.set(base, place);
    }
  }
}
