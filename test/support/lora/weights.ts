/** A WeightsState over the raw addon, without runtime and queue, and tensors read back. */
import { afterAll, beforeAll } from 'vitest';
import { ensureEmbeddedModel, fileStamp } from '../../../lib/model/index.js';
import { JobScope, type NativeModel, type NativeTensorInfo } from '../../../lib/native/index.js';
import { LoraDirectories, lorasSpec, WeightsState } from '../../../lib/weights/index.js';
import type { LoraBackup, LoraInput, LoraMode, LoraReport } from '../../../lib/weights/index.js';
import { loadOptions } from '../nativeParams.js';
import { rawAddon } from '../native.js';
import { numbersOf } from './stored.js';

export interface RawOptions {
  readonly tensorTypeRules?: string;
  readonly wideConvolutions?: boolean;
  readonly mode?: LoraMode;
  readonly backup?: LoraBackup;
  readonly cacheBytes?: number;
  /** Makes a copy of the embedded model's checkpoint. */
  readonly checkpoint?: () => Promise<string>;
}

export class RawWeights {
  readonly native: NativeModel;
  readonly state: WeightsState;
  readonly tensors: ReadonlyMap<string, NativeTensorInfo>;

  private constructor(native: NativeModel, state: WeightsState, tensors: readonly NativeTensorInfo[]) {
    this.native = native;
    this.state = state;
    this.tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  static async load(options: RawOptions = {}): Promise<RawWeights> {
    const addon = rawAddon();
    const embedded = await ensureEmbeddedModel();
    const checkpoint = (await options.checkpoint?.()) ?? embedded.checkpoint;
    const files = { checkpoint, taesd: embedded.taesd };
    const { tensorTypeRules = '', wideConvolutions = false } = options;
    const request = loadOptions(files, { tensorTypeRules, wideConvolutions });
    const stamps = new Map([[checkpoint, await fileStamp(checkpoint)]]);
    const native = await addon.loadModel(request, null).promise;
    const state = new WeightsState({
      native,
      architecture: native.info.architecture,
      checkpoint: stamps,
      mode: options.mode ?? 'merge',
      backup: options.backup ?? 'file',
      cacheBytes: options.cacheBytes ?? 0,
      directories: new LoraDirectories([]),
    });
    return new RawWeights(native, state, await native.tensors().promise);
  }

  async set(list: readonly LoraInput[], signal?: AbortSignal): Promise<LoraReport> {
    const scope = new JobScope(signal ?? new AbortController().signal);
    try {
      return await this.state.setBase(
        await this.state.prepare(lorasSpec.check(list, 'loras'), [], signal),
        scope,
        null,
      );
    } finally {
      await scope.idle();
    }
  }

  info(name: string): NativeTensorInfo {
    const tensor = this.tensors.get(name);
    if (tensor === undefined) throw new Error(`The model has no ${name}`);
    return tensor;
  }

  bytes(name: string): Promise<Uint8Array> {
    return this.native.readTensor(name).promise;
  }

  async numbers(name: string): Promise<Float64Array> {
    return numbersOf(this.info(name).type, await this.bytes(name));
  }

  /** One text for all tensors. */
  async digest(): Promise<string> {
    const tensors = await this.native.weightsDigest().promise;
    return tensors.map(({ name, sha256 }) => `${name} ${sha256}`).join('\n');
  }
}

/** Loads before the tests of the calling file and frees afterwards. */
export function useRawWeights(options: RawOptions = {}): { readonly weights: RawWeights } {
  let loaded: RawWeights | undefined;
  beforeAll(async () => {
    loaded = await RawWeights.load(options);
  });
  afterAll(() => loaded?.native.dispose());
  return {
    get weights() {
      if (loaded === undefined) throw new Error('The model was not loaded');
      return loaded;
    },
  };
}
