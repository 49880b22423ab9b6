import type { InfotextModel } from '../image/index.js';
import type {
  JobScope,
  NativeEncodePromptParams,
  NativeEvent,
  NativeImage,
  NativeModel,
  NativeModelFiles,
} from '../native/index.js';
import type { WeightsState } from '../weights/index.js';
import type { ModelMemory } from './admission.js';
import type { Compiler } from './compile.js';
import type { ModelEvent } from './events.js';
import { type ConditioningCache, conditioningKey, type Lease } from './conditioningCache.js';
import type { ModelFacts } from './facts.js';
import type { JobQueue } from './queue.js';

/** What the operations of one model work with. */
export interface ModelContext {
  readonly native: NativeModel;
  readonly facts: ModelFacts;
  readonly cache: ConditioningCache;
  /** LoRAs in the weights. */
  readonly weights: WeightsState;
  readonly memory: ModelMemory;
  /** One job at a time. */
  readonly queue: JobQueue;
  /** Whether the weights are in memory; undefined: always. */
  readonly presence?: Presence | undefined;
  /** Of backends that compile; undefined: the model samples as it is. */
  readonly compiler?: Compiler | undefined;
  /** What is loaded where: identity of the files, device and weight type. A part of keys of compiled graphs. */
  readonly identity: ModelIdentity;
  /** Its files, with their stamps from before they were loaded; undefined: it lends nothing. */
  readonly sources?: ModelSources | undefined;
  /** For captions. Called for every job, since the hashes of a model become known only when somebody asks for them. */
  readonly describe: () => InfotextModel;
  /** Tells the logger. */
  readonly log?: ((event: ModelEvent) => void) | undefined;
}

export interface ModelSources {
  readonly files: NativeModelFiles;
  readonly stamps: ReadonlyMap<string, string>;
}

export interface ModelIdentity {
  readonly weights: string;
  readonly device: string;
  readonly precision: string;
}

/** Weights that can leave memory between two passes and come back. */
export interface Presence {
  readonly name: string;
  readonly loaded: boolean;
  /** Of its weights, loaded or not. */
  readonly bytes: number;
  /** Somebody has loaded it by a call: it leaves for the jobs of that model only. */
  readonly owned: boolean;
  /** Models that would leave for this one, the first to go first. */
  readonly rivals: readonly Presence[];
  /** Somebody needs the model: it stays in memory until the result is called. */
  hold(): () => void;
  /** Its owner can do without it, and would rather have it leave than be refused, until the result is called. */
  spare(): () => void;
  /**
   * Checks that weights which are not there could be read if `relief` bytes were freed. Reads nothing.
   * @throws DiffusionError `ERR_OUT_OF_MEMORY`.
   */
  admits(relief: number, signal: AbortSignal): Promise<void>;
  /**
   * The job that has the model's turn waits for memory: compiled graphs of other signatures can go, until the result is
   * called.
   */
  offer(asked: ReadonlySet<number>): () => void;
  /** Tells of every model that leaves memory, until the result is called. */
  watch(onModel: ((event: ModelEvent) => void) | undefined): () => void;
  /** Reads the weights where they are not there; what is spare makes room where there is none. */
  load(
    scope: JobScope,
    onEvent: (event: NativeEvent) => void,
    reason: string,
    onModel: ((event: ModelEvent) => void) | undefined,
  ): Promise<void>;
}

export interface PromptParts {
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly clipSkip: number;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  readonly refImages: readonly NativeImage[];
}

export function positiveParams(parts: PromptParts): NativeEncodePromptParams {
  const { prompt, clipSkip, width, height, refImages } = parts;
  return { prompt, clipSkip, width, height, refImages, zeroOutMasked: false, memoryBudget: 0 };
}

/** SDXL's empty negative prompt is all zeros, as in the reference implementation. */
export function negativeParams(parts: PromptParts, facts: ModelFacts): NativeEncodePromptParams {
  const zeroOutMasked = facts.isSdxl && parts.negativePrompt === '' && facts.prediction !== 'edm_v';
  return { ...positiveParams(parts), prompt: parts.negativePrompt, zeroOutMasked };
}

/** A conditioning from the cache, or encoded now. Release it only when the scope is idle. */
export function acquireConditioning(
  { native, facts, cache, weights }: ModelContext,
  scope: JobScope,
  params: NativeEncodePromptParams,
  onEvent: ((event: NativeEvent) => void) | null,
  memoryBudget: number,
): Promise<Lease> {
  return cache.acquire(conditioningKey(params, facts.isSdxl, weights.textEncoderKey), () =>
    scope.run(
      () => native.encodePrompt({ ...params, memoryBudget }, onEvent),
      (late) => {
        late.dispose();
      },
    ),
  );
}
