import type { JobScope, NativeEncodePromptParams, NativeEvent, NativeImage, NativeModel } from '../native/index.js';
import type { WeightsState } from '../weights/index.js';
import type { ModelMemory } from './admission.js';
import { type ConditioningCache, conditioningKey, type Lease } from './conditioningCache.js';
import type { ModelFacts } from './facts.js';

/** What the operations of one model work with. */
export interface ModelContext {
  readonly native: NativeModel;
  readonly facts: ModelFacts;
  readonly cache: ConditioningCache;
  /** LoRAs in the weights. */
  readonly weights: WeightsState;
  readonly memory: ModelMemory;
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
