import { bytesOfType } from '../model/index.js';
import type { NativeTarget, NativeWeightsMemory } from '../native/index.js';
import type { LoraFile } from './loraFile.js';
import { type ComponentOf, componentOf, type TensorIndex } from './tensorIndex.js';
import type { LoraBackup, LoraMode } from './types.js';

/** Bytes that a change of LoRAs takes at most: on the host, and beside the weights of each part. */
export interface LoraNeed {
  readonly host: number;
  readonly beside: ReadonlyMap<ComponentOf, number>;
}

/** Memory for what LoRAs bring beside the weights: files, copies of originals, merged tensors that are kept. */
export interface LoraRoom {
  /**
   * Takes bytes at once: a change happens inside a job, which waits for nobody.
   * @returns ends it.
   * @throws DiffusionError `ERR_OUT_OF_MEMORY`.
   */
  take(need: LoraNeed): () => void;
  /** Counts what stays. @returns ends it. */
  keep(bytes: number): () => void;
}

/** A change of the weights, before it is made. */
export interface Change {
  readonly mode: Exclude<LoraMode, 'auto'>;
  readonly backup: LoraBackup;
  readonly cacheBytes: number;
  readonly threads: number;
  /** Tensors that become others, with the state that they shall have. */
  readonly targets: readonly NativeTarget[];
  /** Tensors that are not the originals now. */
  readonly changed: ReadonlyMap<string, NativeTarget>;
  readonly files: readonly LoraFile[];
}

/** Joined factors, blocks under way and their checksums; the bench `lora` holds it to 64 MiB. */
const working = 64 * 2 ** 20;

/** Upper bounds, of headers alone. */
export function needOf(change: Change, index: TensorIndex): LoraNeed {
  const { mode, backup, cacheBytes, threads, targets, changed } = change;
  const bytesOf = (name: string, type?: string): number => {
    const tensor = index.tensor(name);
    return tensor === undefined ? 0 : bytesOfType(type ?? tensor.type, tensor.shape);
  };
  const files = change.files.reduce((sum, { stamp }) => sum + Number.parseInt(stamp, 10), 0);
  // The adapter has the factors as floats, on the device of the part that they belong to.
  if (mode === 'runtime') return { host: files, beside: new Map([['diffusionModel', 2 * files]]) };
  const beside = new Map<ComponentOf, number>();
  let kept = 0;
  let widest = 0;
  for (const { tensor, deltas } of targets) {
    const part = componentOf(tensor);
    const bytes = bytesOf(tensor);
    if (changed.has(tensor)) kept += bytes;
    else if (backup !== 'file') beside.set(part, (beside.get(part) ?? 0) + bytes);
    // Kinds that look at the whole tensor have it as floats, and so their deltas.
    if (deltas.some(({ kind }) => kind !== 'lora')) widest = Math.max(widest, 2 * bytesOf(tensor, 'f32'));
  }
  const host = files + Math.min(kept, cacheBytes) + (targets.length > 0 ? working + threads * widest : 0);
  return backup === 'device' ? { host, beside } : { host: host + sum(beside.values()), beside: new Map() };
}

/** What is there after a change. */
export function keptBytes({ ramBackup, deviceBackup, cache, loraFiles }: NativeWeightsMemory): number {
  return ramBackup + deviceBackup + cache + loraFiles;
}

function sum(values: Iterable<number>): number {
  return [...values].reduce((total, value) => total + value, 0);
}
