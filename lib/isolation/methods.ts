import type { JobMethods, NativeAddon, NativeConditioning, NativeModel, NativeUpscaler } from '../native/index.js';

/** Things that live in the engine's process and are known here by a handle. */
export interface RemoteKinds {
  readonly model: NativeModel;
  readonly upscaler: NativeUpscaler;
  readonly conditioning: NativeConditioning;
}

export type RemoteKind = keyof RemoteKinds;

export interface MethodSpec {
  /** What its job resolves with: plain data, or a thing that stays in the engine's process. */
  readonly returns: 'value' | RemoteKind;
  /** It changes the object: its last successful call is made again after the object was made again. Default: false. */
  readonly replays?: boolean;
  /** Answer where the object is not in the process that lives: it is not made again for this. Default: it is. */
  readonly absent?: unknown;
}

type Table<T> = Readonly<Record<JobMethods<T>, MethodSpec>>;

const value: MethodSpec = { returns: 'value' };

/**
 * Every operation of the contract that starts native work, and how its result travels: a new one is one line here, and
 * the compiler asks for it. Parameters travel by their form, see pack.ts; `(params, onEvent)` is the form of them all.
 */
export const methods: {
  readonly addon: Table<NativeAddon>;
  readonly model: Table<NativeModel>;
  readonly upscaler: Table<NativeUpscaler>;
} = {
  addon: {
    inspect: value,
    measureLoad: value,
    measureJob: value,
    measureUpscaler: value,
    loadModel: { returns: 'model' },
    loadUpscaler: { returns: 'upscaler' },
  },
  model: {
    encodePrompt: { returns: 'conditioning' },
    countTokens: value,
    sigmas: value,
    noise: value,
    sample: value,
    encodeImages: value,
    decodeLatent: value,
    measure: value,
    tensors: value,
    convertNames: value,
    // The plan has the state of every changed tensor, so that the last one brings a new engine to where this one was.
    applyWeights: { returns: 'value', replays: true },
    applyRuntime: { returns: 'value', replays: true },
    weightsDigest: value,
    readTensor: value,
    weightsMemory: value,
    releaseBackups: value,
    releaseCompiled: { returns: 'value', absent: [] },
  },
  upscaler: { upscale: value, measure: value },
};
