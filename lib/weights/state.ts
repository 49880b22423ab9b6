import { DiffusionError } from '../errors/index.js';
import { fileStamp } from '../model/index.js';
import type {
  JobScope,
  NativeEvent,
  NativeJob,
  NativeModel,
  NativeTarget,
  NativeWeightsResult,
} from '../native/index.js';
import { difference, textEncoderKey } from './changes.js';
import type { LoraDirectories } from './directories.js';
import { LoraHolding } from './holding.js';
import { type LoraFile, openLora } from './loraFile.js';
import { type MappedLora, mapLora } from './mapping.js';
import { planSet, type SetPlan } from './plan.js';
import { type LoraRoom, needOf } from './room.js';
import { type CheckedLora, resolveLoras } from './spec.js';
import type { LoraTag } from './tags.js';
import { type ComponentOf, componentOf, TensorIndex } from './tensorIndex.js';
import type { LoraBackup, LoraMode, LoraReport, ResolvedLora } from './types.js';

export interface WeightsOptions {
  readonly mode: LoraMode;
  readonly backup: LoraBackup;
  /** Bytes of merged tensors to keep. */
  readonly cacheBytes: number;
  /** Of a merge. */
  readonly threads: number;
  readonly directories: LoraDirectories;
}

export interface WeightsInit extends WeightsOptions {
  readonly native: NativeModel;
  readonly architecture: string;
  /** Files of the model, with their stamps from before they were loaded. */
  readonly checkpoint: ReadonlyMap<string, string>;
  /** Undefined: nobody counts. */
  readonly room?: LoraRoom | undefined;
}

/** A set whose files are known by content. */
export interface PreparedSet {
  readonly loras: readonly { readonly lora: ResolvedLora; readonly file: LoraFile }[];
  /** The same key, the same set. */
  readonly key: string;
}

export const emptySet: PreparedSet = { loras: [], key: '[]' };

/** Parts of a model that LoRAs change. */
export type WeightParts = ReadonlySet<ComponentOf>;

export const allParts: WeightParts = new Set(['diffusionModel', 'textEncoder', 'vae']);

const emptyResult: NativeWeightsResult = { merged: 0, restored: 0, copied: 0, bytes: 0, seconds: 0 };

/**
 * Which LoRAs are in the weights of one model. All changes happen inside jobs of the model's queue, one at a time. The
 * set of the model (`base`) holds for every job that does not bring its own.
 */
export class WeightsState {
  readonly #init: WeightsInit;
  #stamps: ReadonlyMap<string, string>;
  #index: Promise<TensorIndex> | undefined;
  readonly #mapped = new Map<string, MappedLora>();
  /** State of every tensor that is not the original. */
  #states = new Map<string, NativeTarget>();
  #runtimeKey = '';
  #hadRuntime = false;
  /** Key of the set in each part. */
  #current = keysOf(emptySet.key);
  #report: LoraReport;
  #base: PreparedSet = emptySet;
  #textEncoderKey = '';
  /** Files that the native side has in memory, by content. */
  #files: ReadonlySet<string> = new Set();
  readonly #holding: LoraHolding;

  constructor(init: WeightsInit) {
    this.#init = init;
    this.#stamps = init.checkpoint;
    this.#holding = new LoraHolding(init.room, () => init.native.weightsMemory());
    this.#report = this.#reportOf('merge', 'No LoRA is set.', undefined, emptyResult);
  }

  /** The set of the model. */
  get base(): readonly ResolvedLora[] {
    return this.#base.loras.map(({ lora }) => lora);
  }

  get baseSet(): PreparedSet {
    return this.#base;
  }

  /** What the last change did. */
  get report(): LoraReport {
    return this.#report;
  }

  /** LoRAs were added at run time since the weights were read: graphs have them, or do not, as each job has it. */
  get hadRuntime(): boolean {
    return this.#hadRuntime;
  }

  /** Changes with the LoRAs of the text encoders; a part of keys of encoded prompts. Empty: none. */
  get textEncoderKey(): string {
    return this.#textEncoderKey;
  }

  /**
   * Finds, hashes and reads the headers of a set's files. May run while its job waits.
   * @param within option that list and tags belong to, for errors.
   */
  async prepare(
    list: readonly CheckedLora[],
    tags: readonly LoraTag[],
    signal: AbortSignal | undefined,
    within: '' | 'hires.' = '',
  ): Promise<PreparedSet> {
    const resolved = await resolveLoras(list, tags, this.#init.directories, signal, within);
    const loras: { lora: ResolvedLora; file: LoraFile }[] = [];
    for (const [index, lora] of resolved.entries()) {
      loras.push({ lora, file: await openLora(lora.path, `${within}loras[${String(index)}]`, signal) });
    }
    const parts = loras.map(({ lora, file }) => {
      const { unetWeight, textEncoderWeight, blockWeights, dyn } = lora;
      return JSON.stringify([file.sha256, unetWeight, textEncoderWeight, blockWeights ?? null, dyn]);
    });
    return { loras, key: JSON.stringify(parts.sort()) };
  }

  /** Makes a set the model's own and brings the weights to it. Whole or not at all. */
  async setBase(
    set: PreparedSet,
    scope: JobScope,
    onEvent: ((event: NativeEvent) => void) | null,
  ): Promise<LoraReport> {
    const report = await this.apply(set, scope, onEvent);
    this.#base = set;
    return report;
  }

  /** The weights were read anew: nothing is merged into them. The set of the model comes back with the next job. */
  reset(): void {
    this.#holding.left();
    this.#files = new Set();
    this.#states = new Map();
    this.#runtimeKey = '';
    this.#hadRuntime = false;
    this.#current = keysOf(emptySet.key);
    this.#textEncoderKey = '';
    this.#report = this.#reportOf('merge', 'No LoRA is set.', undefined, emptyResult);
  }

  /** Whether {@link apply} would have nothing to do. */
  isCurrent(set: PreparedSet | undefined, parts: WeightParts = allParts): boolean {
    const key = this.keyOf(set);
    return [...parts].every((part) => this.#current[part] === key);
  }

  /** Identity of a set, or of the model's own: the same key, the same weights. */
  keyOf(set: PreparedSet | undefined): string {
    return (set ?? this.#base).key;
  }

  /**
   * Brings the weights to a set, or to the model's own. What throws has changed nothing.
   * @param parts those that the set is for; the others stay as they are. Default: all.
   * @throws DiffusionError `ERR_LORA_INCOMPATIBLE`, `ERR_MODEL_CHANGED`, `ERR_MODEL_CORRUPT`, `ERR_OUT_OF_MEMORY`.
   */
  async apply(
    wanted: PreparedSet | undefined,
    scope: JobScope,
    onEvent: ((event: NativeEvent) => void) | null,
    parts: WeightParts = allParts,
  ): Promise<LoraReport> {
    const set = wanted ?? this.#base;
    if (this.isCurrent(set, parts)) return this.#nothingDone();
    const { readings } = this.#holding;
    const plan = await this.#plan(set, scope);
    const index = await this.#tensorIndex(scope);
    const { mode, reason } = chooseMode(this.#init.mode, plan, index);
    const within = [...plan.targets].filter(([tensor]) => parts.has(componentOf(tensor)));
    const others = [...this.#states].filter(([tensor]) => !parts.has(componentOf(tensor)));
    const merged = new Map(mode === 'merge' ? [...others, ...within] : others);
    const changes = difference(this.#states, merged);
    // Told as well, so that the last plan says everything: the engine passes over what is there already.
    const told = mode === 'merge' ? within : [];
    const unchanged = told.map(([, t]) => t).filter(({ tensor, key }) => this.#states.get(tensor)?.key === key);
    const runtimeKey = mode === 'runtime' && within.length > 0 ? `${[...parts].sort().join()} ${set.key}` : '';
    const replaces = this.#runtimeKey !== runtimeKey;
    const verified = changes.length > 0 ? await this.#lookAtCheckpoint() : undefined;
    scope.check();
    /** What was changed, or was to be, has left memory: from the beginning. */
    const again = (): Promise<LoraReport> => this.apply(wanted, scope, onEvent, parts);
    if (readings !== this.#holding.readings) return again();
    const { native, backup, threads, cacheBytes: most } = this.#init;
    const files = set.loras.map(({ file }) => file).filter(({ sha256 }) => !this.#files.has(sha256));
    const adapters = mode === 'runtime' && replaces ? within.map(([, target]) => target) : [];
    const change = { backup, cacheBytes: most, threads, targets: changes, adapters, changed: this.#states, files };
    const restores = adapters.length === 0 && changes.every(({ deltas }) => deltas.length === 0);
    const end = await this.#holding.take(needOf(change, index), restores);
    if (readings !== this.#holding.readings) {
      end?.();
      return again();
    }
    const cacheBytes = end === null ? 0 : most;
    const request = { backup, verify: verified?.isNew ?? false, cacheBytes, files: plan.files } as const;
    let result = emptyResult;
    /** `commit` also when the result comes after an abort: the weights are then between two sets until the next job. */
    const run = async (start: () => NativeJob<NativeWeightsResult>, commit: () => void): Promise<void> => {
      const between = (): void => {
        if (readings !== this.#holding.readings) return;
        commit();
        this.#current = keysOf('');
      };
      const { seconds, ...counts } = await scope.run(start, between);
      between();
      result = { ...counts, seconds: result.seconds + seconds };
    };
    const before = this.#current;
    try {
      if (replaces) {
        await run(
          () => native.applyRuntime({ ...request, targets: adapters }, onEvent),
          () => {
            this.#runtimeKey = runtimeKey;
            this.#hadRuntime = true;
          },
        );
      }
      if (changes.length > 0) {
        await run(
          () => native.applyWeights({ ...request, targets: [...changes, ...unchanged] }, onEvent),
          () => {
            this.#states = new Map(merged);
            if (verified !== undefined) this.#stamps = verified.stamps;
          },
        );
      }
      await this.#holding.count(inside(scope), readings);
    } catch (error) {
      // The native side may go on for a moment after an abort, and may even be done.
      const over = (): void => end?.();
      void scope
        .idle()
        .then(() => this.#holding.count(alone, readings))
        .then(over, over);
      throw error;
    }
    end?.();
    if (readings !== this.#holding.readings) return again();
    this.#files = new Set(set.loras.map(({ file }) => file.sha256));
    // Deltas at run time come and go together.
    const now = { ...(replaces ? keysOf('') : before) };
    for (const part of parts) now[part] = set.key;
    this.#current = now;
    if (parts.has('textEncoder')) this.#textEncoderKey = textEncoderKey(plan.targets);
    this.#report = this.#reportOf(mode, reason, plan, result);
    return this.#report;
  }

  /**
   * Drops merged tensors that are kept, and backups whose originals the checkpoint still has.
   * @param scope of the job that does it; without, nobody else works with the model.
   * @returns bytes.
   */
  async release(scope?: JobScope): Promise<number> {
    const { readings } = this.#holding;
    const run = scope === undefined ? alone : inside(scope);
    const bytes = await run(() => this.#init.native.releaseBackups(true));
    await this.#holding.count(run, readings);
    return bytes;
  }

  async #plan(set: PreparedSet, scope: JobScope): Promise<SetPlan> {
    if (set.loras.length === 0) return { files: [], targets: new Map(), reports: [], warnings: [], notAtRuntime: [] };
    const index = await this.#tensorIndex(scope);
    const loras: { lora: ResolvedLora; mapped: MappedLora }[] = [];
    for (const { lora, file } of set.loras) {
      let mapped = this.#mapped.get(file.sha256);
      if (mapped?.file.path !== file.path || mapped.file.stamp !== file.stamp) {
        mapped = await mapLora(file, index, this.#init.native, scope);
        this.#remember(mapped);
      }
      loras.push({ lora, mapped });
    }
    return planSet(loras, index, this.#init.architecture);
  }

  #remember(mapped: MappedLora): void {
    const most = 32;
    this.#mapped.delete(mapped.file.sha256);
    this.#mapped.set(mapped.file.sha256, mapped);
    for (const oldest of this.#mapped.keys()) {
      if (this.#mapped.size <= most) break;
      this.#mapped.delete(oldest);
    }
  }

  async #tensorIndex(scope: JobScope): Promise<TensorIndex> {
    this.#index ??= scope.run(() => this.#init.native.tensors()).then((tensors) => new TensorIndex(tensors));
    try {
      return await this.#index;
    } catch (error) {
      this.#index = undefined;
      throw error;
    }
  }

  /** Stamps of the checkpoint's files now, and whether one is not as it was. */
  async #lookAtCheckpoint(): Promise<{ stamps: ReadonlyMap<string, string>; isNew: boolean } | undefined> {
    if (this.#init.backup !== 'file') return undefined;
    const stamps = new Map<string, string>();
    for (const path of this.#stamps.keys()) {
      const stamp = await fileStamp(path).catch(() => undefined);
      if (stamp === undefined) throw changed(path, 'it is gone');
      stamps.set(path, stamp);
    }
    return { stamps, isNew: [...stamps].some(([path, stamp]) => stamp !== this.#stamps.get(path)) };
  }

  /** Of a call that found the set in place: what was to be said of it has been said. */
  #nothingDone(): LoraReport {
    return Object.freeze({ ...this.#report, merged: 0, restored: 0, copied: 0, seconds: 0, warnings: [] });
  }

  #reportOf(
    mode: 'merge' | 'runtime',
    reason: string,
    plan: SetPlan | undefined,
    result: NativeWeightsResult,
  ): LoraReport {
    const { merged, restored, copied, seconds } = result;
    return Object.freeze({
      mode,
      reason,
      backup: this.#init.backup,
      files: plan?.reports ?? [],
      tensors: mode === 'merge' ? this.#states.size : 0,
      ...{ merged, restored, copied, seconds },
      warnings: plan?.warnings ?? [],
    });
  }
}

/** Native jobs of a job of the queue, and those that nobody may abort. */
const inside =
  (scope: JobScope) =>
  <T>(start: () => NativeJob<T>): Promise<T> =>
    scope.run(start);
const alone = <T>(start: () => NativeJob<T>): Promise<T> => start().promise;

/** All parts with one key. No set has an empty one: whichever comes next has to be brought about. */
function keysOf(key: string): Readonly<Record<ComponentOf, string>> {
  return { diffusionModel: key, textEncoder: key, vae: key };
}

/** The one rule of how a set reaches the weights. */
function chooseMode(
  mode: LoraMode,
  plan: SetPlan,
  index: TensorIndex,
): { readonly mode: 'merge' | 'runtime'; readonly reason: string } {
  const faults = plan.notAtRuntime.join(', ');
  if (mode === 'merge') return { mode, reason: 'The option loraMode says so.' };
  if (mode === 'runtime') {
    if (faults === '') return { mode, reason: 'The option loraMode says so.' };
    const hint = "Load the model with loraMode: 'auto' or 'merge'.";
    const message = `The set has deltas that cannot be added at run time: ${faults}. ${hint}`;
    throw new DiffusionError('ERR_LORA_INCOMPATIBLE', message, { field: 'loraMode', given: mode, hint });
  }
  const quantised = [...plan.targets.keys()].some(
    (name) => !['f32', 'f16', 'bf16'].includes(index.tensor(name)?.type ?? 'f32'),
  );
  if (plan.targets.size === 0) return { mode: 'merge', reason: 'No LoRA is set.' };
  if (!quantised) return { mode: 'merge', reason: 'The weights are not quantised.' };
  if (faults !== '')
    return { mode: 'merge', reason: `The weights are quantised, but at run time there is no ${faults}.` };
  return { mode: 'runtime', reason: 'The weights are quantised.' };
}

function changed(path: string, what: string): DiffusionError {
  const hint = "Put the file back, or load the model anew with loraBackup: 'ram'.";
  const message = `The file ${path} is not the one that was loaded: ${what}. Nothing was changed. ${hint}`;
  return new DiffusionError('ERR_MODEL_CHANGED', message, { given: path, hint });
}
