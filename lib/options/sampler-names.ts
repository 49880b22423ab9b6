import type { Sampler, Schedule } from './samplers.js';

/**
 * Names as A1111 1.10 shows them and writes them into infotext (`modules/sd_samplers_kdiffusion.py`); for samplers it
 * lacks, a name in the same style. Spaces, hyphens, underscores and case do not matter when they are read back.
 */
export const samplerLabels: Readonly<Record<Sampler, string>> = {
  euler: 'Euler',
  euler_a: 'Euler a',
  heun: 'Heun',
  dpm2: 'DPM2',
  'dpm++2s_a': 'DPM++ 2S a',
  'dpm++2m': 'DPM++ 2M',
  'dpm++2mv2': 'DPM++ 2M v2',
  ipndm: 'iPNDM',
  ipndm_v: 'iPNDM v',
  lcm: 'LCM',
  ddim_trailing: 'DDIM trailing',
  tcd: 'TCD',
  res_multistep: 'Res Multistep',
  res_2s: 'Res 2S',
  er_sde: 'ER SDE',
};

/** Labels of `modules/sd_schedulers.py`; for schedules A1111 lacks, a name in the same style. */
export const scheduleLabels: Readonly<Record<Schedule, string>> = {
  discrete: 'Uniform',
  karras: 'Karras',
  exponential: 'Exponential',
  ays: 'Align Your Steps',
  gits: 'GITS',
  sgm_uniform: 'SGM Uniform',
  simple: 'Simple',
  smoothstep: 'Smoothstep',
  kl_optimal: 'KL Optimal',
  lcm: 'LCM',
  bong_tangent: 'Bong Tangent',
};

/**
 * Further names, as {@link samplerKey} writes them: A1111's short names, ComfyUI, diffusers. `ddim` follows the
 * engine's own server, which runs it as `ddim_trailing`; the timesteps differ from A1111's DDIM, so pictures are alike but not the same.
 */
export const samplerAliases: Readonly<Record<string, Sampler>> = {
  eulerdiscretescheduler: 'euler',
  flowmatcheulerdiscretescheduler: 'euler',
  eulerancestraldiscretescheduler: 'euler_a',
  heundiscretescheduler: 'heun',
  kdpm2discretescheduler: 'dpm2',
  dpmsolvermultistepscheduler: 'dpm++2m',
  ipndmscheduler: 'ipndm',
  lcmscheduler: 'lcm',
  tcdscheduler: 'tcd',
  ddim: 'ddim_trailing',
};

/** Further names of schedules. A polyexponential schedule with A1111's default rho of 1 is the exponential one. */
export const scheduleAliases: Readonly<Record<string, Schedule>> = {
  normal: 'discrete',
  default: 'discrete',
  polyexponential: 'exponential',
  alignyoursteps: 'ays',
};

/** Samplers of others that the engine lacks, with the nearest it has. Keys as {@link samplerKey} writes them. */
export const missingSamplers: Readonly<Record<string, Sampler>> = {
  'ddimcfg++': 'ddim_trailing',
  ddpm: 'euler_a',
  deis: 'ipndm',
  dpm2a: 'dpm++2s_a',
  'dpm++2mcfg++': 'dpm++2m',
  'dpm++2msde': 'er_sde',
  'dpm++2msdeheun': 'er_sde',
  'dpm++3msde': 'er_sde',
  'dpm++sde': 'dpm++2s_a',
  dpmadaptive: 'dpm++2m',
  dpmfast: 'dpm++2m',
  heunpp2: 'heun',
  lms: 'ipndm',
  plms: 'ipndm',
  pndm: 'ipndm',
  restart: 'euler_a',
  sasolver: 'dpm++2m',
  unipc: 'dpm++2m',
  unipcbh2: 'dpm++2m',
};

/** Schedules others have and the engine lacks, with the nearest it has. */
export const missingSchedules: Readonly<Record<string, Schedule>> = {
  beta: 'simple',
  ddim: 'discrete',
  ddimuniform: 'discrete',
  linearquadratic: 'simple',
  turbo: 'sgm_uniform',
};

/** One spelling for the many of a sampler: `DPM++ 2S a`, `k_dpmpp_2s_ancestral`, `dpm++2s_a` are all `dpm++2sa`. */
export function samplerKey(name: string): string {
  return name
    .toLowerCase()
    .replace(/^(?:k|sample)[_ ]/, '')
    .replace(/[\s_()-]/g, '')
    .replace(/^dpmpp/, 'dpm++')
    .replace(/ancestral$/, 'a');
}
