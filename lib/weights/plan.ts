import { DiffusionError } from '../errors/index.js';
import type { NativeDelta, NativeLoraFile, NativeTarget, NativeTensorInfo } from '../native/index.js';
import { blockFactors } from './blocks.js';
import { architectureOf } from './loraFile.js';
import type { MappedLora } from './mapping.js';
import { componentOf, type TensorIndex } from './tensorIndex.js';
import type { LoraFileReport, ResolvedLora } from './types.js';

/** A LoRA of the wanted set, mapped to the model. */
export interface PlannedLora {
  readonly lora: ResolvedLora;
  readonly mapped: MappedLora;
}

/** Every tensor that the set changes, with the state that it shall have. */
export interface SetPlan {
  readonly files: readonly NativeLoraFile[];
  readonly targets: ReadonlyMap<string, NativeTarget>;
  readonly reports: readonly LoraFileReport[];
  readonly warnings: readonly string[];
  /** Kinds that the engine's way at run time does not have, in words; empty: it has all. */
  readonly notAtRuntime: readonly string[];
}

interface Entry {
  /** Orders the deltas of a tensor: by content, never by the order given. */
  readonly id: string;
  readonly delta: NativeDelta;
}

/** @throws DiffusionError `ERR_LORA_INCOMPATIBLE` where a file has nothing for this model. */
export function planSet(loras: readonly PlannedLora[], index: TensorIndex, architecture: string): SetPlan {
  const files: NativeLoraFile[] = [];
  const fileIndex = new Map<string, number>();
  const entries = new Map<string, { tensor: NativeTensorInfo; rows: number; list: Entry[] }>();
  const reports: LoraFileReport[] = [];
  const warnings: string[] = [];
  const notAtRuntime = new Set<string>();
  for (const { lora, mapped } of loras) {
    const { file } = mapped;
    if (mapped.deltas.length === 0) throw incompatible(lora, mapped, architecture);
    const factor = blockFactors(lora.blockWeights, index.blocks);
    let at = fileIndex.get(file.sha256);
    if (at === undefined) {
      at = files.push({ id: file.sha256, path: file.path, stamp: file.stamp }) - 1;
      fileIndex.set(file.sha256, at);
    }
    const touched = new Set<string>();
    for (const { tensor, tensorRows, delta, base } of mapped.deltas) {
      const own = componentOf(tensor.name) === 'textEncoder' ? lora.textEncoderWeight : lora.unetWeight;
      const multiplier = own * factor(tensor.name);
      if (multiplier === 0) continue;
      touched.add(tensor.name);
      const rank = delta.kind === 'lora' ? lora.dyn : 0;
      const full: NativeDelta = { ...delta, file: at, multiplier, rank };
      const id = JSON.stringify([file.sha256, base, delta.kind, multiplier, delta.scale, delta.rowOffset, rank]);
      const entry = entries.get(tensor.name) ?? { tensor, rows: tensorRows, list: [] };
      entry.list.push({ id, delta: full });
      entries.set(tensor.name, entry);
      const why = runtimeFault(tensor, tensorRows, full, index);
      if (why !== undefined) notAtRuntime.add(why);
    }
    reports.push(reportOf(lora, mapped, touched.size));
    if (mapped.unmatchedKeys.length > 0) warnings.push(unmatchedText(lora, mapped));
  }
  const targets = new Map<string, NativeTarget>();
  for (const [name, { rows, list }] of entries) {
    list.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
    const key = list.map(({ id }) => id).join('\n');
    targets.set(name, { tensor: name, key, rows, deltas: list.map(({ delta }) => delta) });
  }
  return { files, targets, reports, warnings, notAtRuntime: [...notAtRuntime] };
}

/** Tables that the engine looks rows up in, without its adapter: of tokens, positions and T5's distances. */
const tables = /embedding|\.embed_tokens\.|\.shared\.weight$|\.relative_attention_bias\./;

/** What keeps a delta from the engine's adapter, which knows linear layers and convolutions. */
function runtimeFault(
  tensor: NativeTensorInfo,
  rows: number,
  delta: NativeDelta,
  index: TensorIndex,
): string | undefined {
  if ('dora' in delta.parts) return 'DoRA';
  if (tables.test(tensor.name)) return 'embeddings';
  // Matrices that are no layer's weight, and so never reach the adapter: `text_projection`, `pos_embed`, `modulation`.
  if (tensor.shape.length > 1 && !tensor.name.endsWith('.weight'))
    return tensor.name.slice(tensor.name.lastIndexOf('.') + 1);
  if (delta.kind === 'lora') return undefined;
  if (delta.kind !== 'full' && delta.kind !== 'loha') return delta.kind;
  if (delta.rows !== rows) return `${delta.kind} of a part of a fused tensor`;
  if ('t1' in delta.parts || 't2' in delta.parts) return 'loha with a core';
  if (tensor.shape.length > 1) return undefined;
  const weight = index.tensor(tensor.name.replace(/\.bias$/, '.weight'));
  return tensor.name.endsWith('.bias') && (weight?.shape.length ?? 0) > 1 ? undefined : 'norms';
}

function reportOf(
  lora: ResolvedLora,
  { file, kinds, rank, matched, unmatchedKeys }: MappedLora,
  tensors: number,
): LoraFileReport {
  return {
    name: lora.name,
    path: file.path,
    sha256: file.sha256,
    shortHash: file.shortHash,
    unetWeight: lora.unetWeight,
    textEncoderWeight: lora.textEncoderWeight,
    kinds,
    rank,
    modules: file.modules.length,
    matched,
    unmatchedKeys,
    tensors,
  };
}

const shown = 3;

function some(keys: readonly string[]): string {
  const more = keys.length > shown ? ` and ${String(keys.length - shown)} more` : '';
  return keys.slice(0, shown).join(', ') + more;
}

function unmatchedText(lora: ResolvedLora, { unmatchedKeys }: MappedLora): string {
  return `The LoRA "${lora.name}" has ${String(unmatchedKeys.length)} keys that the model has no place for: ${some(unmatchedKeys)}.`;
}

function incompatible(lora: ResolvedLora, { file, unmatchedKeys }: MappedLora, architecture: string): DiffusionError {
  const hint = 'Use a LoRA that was made for this architecture.';
  const message =
    `The LoRA "${lora.name}" (${file.path}) is for ${architectureOf(file)}; none of its ${String(unmatchedKeys.length)} keys ` +
    `fits this model (${architecture}): ${some(unmatchedKeys)}. ${hint}`;
  return new DiffusionError('ERR_LORA_INCOMPATIBLE', message, { field: 'loras', given: lora.name, hint });
}
