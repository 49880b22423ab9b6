import { bytesOfType } from '../model/index.js';
import type { NativeTarget, NativeWeightsMemory } from '../native/index.js';
import type { LoraFile } from './loraFile.js';
import { type ComponentOf, componentOf, type TensorIndex } from './tensorIndex.js';
import type { LoraBackup } from './types.js';

/** Bytes that a change of LoRAs takes at most: on the host, and beside the weights of each part. */
export interface LoraNeed {
  readonly host: number;
  readonly beside: ReadonlyMap<ComponentOf, number>;
}

/** Memory for what LoRAs bring beside the weights: files, copies of originals, merged tensors that are kept. */
export interface LoraRoom {
  /**
   * Takes bytes without waiting for others, who may wait for the job that the change is part of; what is kept only to be
   * faster leaves for it.
   * @returns ends it.
   * @throws DiffusionError `ERR_OUT_OF_MEMORY`.
   */
  take(need: LoraNeed): Promise<() => void>;
  /** Counts what stays. @returns ends it. */
  keep(bytes: number): () => void;
}

/** A change of the weights, before it is made. */
export interface Change {
  readonly backup: LoraBackup;
  readonly cacheBytes: number;
  readonly threads: number;
  /** Tensors that become others, with the state that they shall have. */
  readonly targets: readonly NativeTarget[];
  /** Those whose deltas are added at run time. */
  readonly adapters: readonly NativeTarget[];
  /** Tensors that are not the originals now. */
  readonly changed: ReadonlyMap<string, NativeTarget>;
  /** Files that are not in memory yet. */
  readonly files: readonly LoraFile[];
}

/** Joined factors, blocks under way and their checksums; the bench `lora` holds it to 64 MiB. */
const working = 64 * 2 ** 20;

/** Upper bounds, of headers alone. */
export function needOf(change: Change, index: TensorIndex): LoraNeed {
  const { backup, cacheBytes, threads, targets, adapters, changed } = change;
  const bytesOf = (name: string, type?: string): number => {
    const tensor = index.tensor(name);
    return tensor === undefined ? 0 : bytesOfType(type ?? tensor.type, tensor.shape);
  };
  const beside = new Map<ComponentOf, number>();
  const add = (name: string, bytes: number): void => {
    const part = componentOf(name);
    beside.set(part, (beside.get(part) ?? 0) + bytes);
  };
  let host = change.files.reduce((sum, { stamp }) => sum + Number.parseInt(stamp, 10), 0);
  let [kept, copies, widest, whole] = [0, 0, 0, 0];
  for (const { tensor, deltas } of targets) {
    const bytes = bytesOf(tensor);
    if (changed.has(tensor)) kept += bytes;
    else if (backup === 'device') add(tensor, bytes);
    else if (backup === 'ram') copies += bytes;
    if (deltas.every(({ kind }) => kind === 'lora')) continue;
    // Kinds that look at the whole tensor have it as floats, and so their deltas.
    widest = Math.max(widest, 2 * bytesOf(tensor, 'f32'));
    whole++;
  }
  for (const { tensor, deltas } of adapters) {
    for (const { parts } of deltas) {
      // As floats: read on the host, then on the device of the part that they belong to.
      const floats = Object.values(parts).reduce((sum, { shape }) => sum + bytesOfType('f32', shape), 0);
      host += floats;
      add(tensor, floats);
    }
  }
  host += copies + Math.min(kept, cacheBytes) + Math.min(threads, whole) * widest;
  if (targets.some(({ deltas }) => deltas.length > 0)) host += working;
  return { host, beside };
}

/** What is there after a change. */
export function keptBytes({ ramBackup, deviceBackup, cache, loraFiles }: NativeWeightsMemory): number {
  return ramBackup + deviceBackup + cache + loraFiles;
}
