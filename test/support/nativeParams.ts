import type {
  NativeConditioning,
  NativeDecodeParams,
  NativeEncodeImageParams,
  NativeEncodePromptParams,
  NativeLoadOptions,
  NativeMeasureParams,
  NativeModelFiles,
  NativeNoiseParams,
  NativeSampleParams,
  NativeSigmaParams,
  NativeTensor,
  NativeTiling,
} from '../../lib/native/contract.js';
import { edge, threads } from './native.js';

// Whole parameters of the raw addon for the embedded model, every field given.

export function loadOptions(files: NativeModelFiles, change: Partial<NativeLoadOptions> = {}): NativeLoadOptions {
  return {
    files,
    device: 'CPU',
    threads,
    taesdPreviewOnly: false,
    weightType: '',
    wideConvolutions: false,
    tensorTypeRules: '',
    mmap: false,
    flashAttention: false,
    diffusionConvDirect: false,
    vaeConvDirect: false,
    keepTextEncoderOnCpu: false,
    keepVaeOnCpu: false,
    keepControlNetOnCpu: false,
    offloadToCpu: false,
    maxVram: 0,
    circularX: false,
    circularY: false,
    prediction: '',
    rng: 'cuda',
    samplerRng: 'cuda',
    vaeDecodeOnly: false,
    withoutTextEncoder: false,
    withoutVae: false,
    memoryBudget: 0,
    ...change,
  };
}

export function promptParams(): NativeEncodePromptParams {
  return {
    prompt: 'a red apple',
    clipSkip: -1,
    width: edge,
    height: edge,
    zeroOutMasked: false,
    refImages: [],
    memoryBudget: 0,
  };
}

export function sigmaParams(): NativeSigmaParams {
  return { steps: 2, schedule: 'discrete', sampler: 'euler', width: edge, height: edge, flowShift: NaN };
}

export function noiseParams(): NativeNoiseParams {
  return { seed: 1, width: edge / 8, height: edge / 8 };
}

/** Zeros of four channels at an eighth of the size. */
export function latent(): NativeTensor {
  const cells = edge / 8;
  return { shape: [1, 4, cells, cells], data: new Float32Array(4 * cells * cells) };
}

const tiling: NativeTiling = { enabled: false, tileSizeX: 0, tileSizeY: 0, overlap: 0.5 };

export function decodeParams(): NativeDecodeParams {
  return { latent: latent(), tiling, memoryBudget: 0 };
}

/** With guidance, over the whole way from a picture to a picture. */
export function measureParams(change: Partial<NativeMeasureParams> = {}): NativeMeasureParams {
  return {
    ...{ width: edge, height: edge, prompts: [promptParams(), { ...promptParams(), prompt: '' }] },
    sample: true,
    ...{ imageGuidance: false, control: false, controlStrength: 1, references: [], preview: 'none' },
    ...{ encode: [{ width: edge, height: edge }], decode: true },
    ...{ previewTiling: tiling, encodeTiling: tiling, decodeTiling: tiling },
    ...change,
  };
}

export function encodeParams(): NativeEncodeImageParams {
  const image = { width: edge, height: edge, channels: 3, data: new Uint8Array(edge * edge * 3) };
  return { images: [{ image, mask: null }], seed: 0, tiling, memoryBudget: 0 };
}

export function sampleParams(cond: NativeConditioning): NativeSampleParams {
  return {
    cond,
    uncond: null,
    latent: latent(),
    noise: null,
    seed: 1,
    sigmas: Float32Array.from([10, 0]),
    stopAfter: 0,
    predictions: null,
    sampler: 'euler',
    eta: NaN,
    cfgScale: 1,
    imageCfgScale: NaN,
    guidance: 3.5,
    slgLayers: new Int32Array(),
    slgStart: 0,
    slgEnd: 0.2,
    slgScale: 0,
    flowShift: NaN,
    shiftedTimestep: 0,
    mask: null,
    concat: null,
    uncondConcat: null,
    refLatents: [],
    increaseRefIndex: false,
    controlImage: null,
    controlStrength: 0.9,
    cacheMode: 'none',
    cacheThreshold: NaN,
    cacheStart: 0.15,
    cacheEnd: 0.95,
    preview: 'none',
    previewInterval: 1,
    previewTiling: tiling,
    memoryBudget: 0,
  };
}
