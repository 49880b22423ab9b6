/**
 * Names of the engine, in the order of its tables in `src/stable-diffusion.cpp` (`sample_method_to_str`,
 * `scheduler_to_str`, `rng_type_to_str`, `prediction_to_str`). A test holds them against the built engine.
 */
export const samplers = [
  'euler',
  'euler_a',
  'heun',
  'dpm2',
  'dpm++2s_a',
  'dpm++2m',
  'dpm++2mv2',
  'ipndm',
  'ipndm_v',
  'lcm',
  'ddim_trailing',
  'tcd',
  'res_multistep',
  'res_2s',
  'er_sde',
] as const;

export type Sampler = (typeof samplers)[number];

export const schedules = [
  'discrete',
  'karras',
  'exponential',
  'ays',
  'gits',
  'sgm_uniform',
  'simple',
  'smoothstep',
  'kl_optimal',
  'lcm',
  'bong_tangent',
] as const;

export type Schedule = (typeof schedules)[number];

/** Random number generators by the engine's names. */
export const rngs = ['std_default', 'cuda', 'cpu'] as const;

export type EngineRng = (typeof rngs)[number];

/** `cuda`: philox as on NVIDIA GPUs; `cpu`: PyTorch's CPU generator; `std` (`std_default`): the C++ library's. */
export type Rng = EngineRng | 'std';

/** The engine's name of a generator. */
export const rngAliases: Readonly<Record<string, EngineRng>> = {
  std: 'std_default',
  philox: 'cuda',
  nv: 'cuda',
  gpu: 'cuda',
};

export const predictions = ['eps', 'v', 'edm_v', 'sd3_flow', 'flux_flow', 'flux2_flow'] as const;

export type Prediction = (typeof predictions)[number];

/** diffusers' names of prediction types. */
export const predictionAliases: Readonly<Record<string, Prediction>> = {
  epsilon: 'eps',
  v_prediction: 'v',
  'v-prediction': 'v',
  flow: 'sd3_flow',
};

/** ggml types that weights can be converted to without an importance matrix, in the order of `ggml_type`. */
export const weightTypes = [
  'f32',
  'f16',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q8_0',
  'q2_K',
  'q3_K',
  'q4_K',
  'q5_K',
  'q6_K',
  'iq4_nl',
  'iq4_xs',
  'bf16',
] as const;

export type WeightType = (typeof weightTypes)[number];

/** Types of the kernels of convolutions. */
export const convolutionTypes = ['f16', 'f32'] as const;
export type ConvolutionType = (typeof convolutionTypes)[number];

/** Other spellings of weight types (PyTorch, diffusers). */
export const weightTypeAliases: Readonly<Record<string, WeightType>> = {
  fp32: 'f32',
  float32: 'f32',
  fp16: 'f16',
  float16: 'f16',
  half: 'f16',
  bfloat16: 'bf16',
};

/** Ways to reuse work between steps, as the native contract names them. */
export const stepCacheModes = [
  'none',
  'easycache',
  'ucache',
  'dbcache',
  'taylorseer',
  'cache-dit',
  'spectrum',
] as const;

export type StepCacheMode = (typeof stepCacheModes)[number];
