import { invalidOption } from '../errors/index.js';
import type { NativeTiling } from '../native/index.js';
import type { Checked, Sampler, Schedule } from '../options/index.js';
import { defaultSchedule, hasImageGuidance, type ModelFacts } from './facts.js';
import { resolveSeed } from './seeds.js';
import type { samplingSpec } from './spec.js';

export type CheckedSampling = Checked<ReturnType<typeof samplingSpec>>;

export interface SkipLayers {
  readonly layers: readonly number[];
  readonly start: number;
  readonly end: number;
  readonly scale: number;
}

export interface StepCache {
  readonly mode: 'none' | 'easycache' | 'ucache' | 'dbcache' | 'taylorseer' | 'cache-dit' | 'spectrum';
  readonly threshold: number;
  readonly start: number;
  readonly end: number;
}

/** How latents are sampled, everything decided; plain data that a pass carries. NaN means the engine's default. */
export interface Sampling {
  readonly steps: number;
  readonly sampler: Sampler;
  readonly schedule: Schedule;
  /** Own noise levels, else null. */
  readonly sigmas: Float32Array | null;
  readonly seed: number;
  readonly eta: number;
  readonly cfgScale: number;
  /** Equal to cfgScale: no separate image guidance. */
  readonly imageCfgScale: number;
  readonly guidance: number;
  readonly flowShift: number;
  readonly skipLayers: SkipLayers;
  readonly stepCache: StepCache;
  readonly controlStrength: number;
}

/** Fills in what depends on the model and refuses what the model would silently ignore. */
export function resolveSampling(options: CheckedSampling, facts: ModelFacts, random?: () => number): Sampling {
  const sampler = options.sampler?.sampler ?? (facts.defaultSampler as Sampler);
  const schedule = options.schedule ?? options.sampler?.schedule ?? defaultSchedule(facts, sampler);
  return {
    steps: options.sigmas === undefined ? options.steps : options.sigmas.length - 1,
    sampler,
    schedule,
    sigmas: options.sigmas ?? null,
    seed: resolveSeed(options.seed, random),
    eta: options.eta ?? NaN,
    cfgScale: options.cfgScale,
    imageCfgScale: imageCfgScale(options, facts),
    guidance: options.guidance,
    flowShift: options.flowShift ?? NaN,
    skipLayers: skipLayers(options, facts),
    stepCache: stepCache(options, facts),
    controlStrength: options.controlStrength,
  };
}

function imageCfgScale({ cfgScale, imageCfgScale: given }: CheckedSampling, facts: ModelFacts): number {
  if (given === undefined || given === cfgScale) return cfgScale;
  if (hasImageGuidance(facts)) return given;
  throw ignored('imageCfgScale', given, facts, 'inpaint, edit and control models');
}

function skipLayers({ skipLayerGuidance: given }: CheckedSampling, facts: ModelFacts): SkipLayers {
  if (given === undefined) return { layers: [], start: 0.01, end: 0.2, scale: 0 };
  if (!facts.isDit) throw ignored('skipLayerGuidance', given, facts, 'transformer models (SD3, FLUX, …)');
  return given;
}

function stepCache({ stepCache: given }: CheckedSampling, facts: ModelFacts): StepCache {
  if (given === undefined || given.mode === 'none') return { mode: 'none', threshold: NaN, start: 0.15, end: 0.95 };
  if (given.start >= given.end)
    throw invalidOption('stepCache.start', given.start, `less than stepCache.end (${String(given.end)})`);
  const { mode, start, end } = given;
  if (mode === 'ucache' && facts.isDit) throw ignored('stepCache.mode', mode, facts, 'UNet models', 'Use "easycache".');
  if (mode !== 'ucache' && mode !== 'spectrum' && !facts.isDit) {
    throw ignored('stepCache.mode', mode, facts, 'transformer models', 'Use "ucache" or "spectrum".');
  }
  return { mode, threshold: given.threshold ?? NaN, start, end };
}

/** The engine would only log a warning; an option without effect is a mistake that a person wants to know of. */
export function ignored(field: string, given: unknown, facts: ModelFacts, serves: string, hint?: string): Error {
  return invalidOption(
    field,
    given,
    `a model that uses it (${serves}); this one is "${facts.architecture}"`,
    hint ?? 'Leave it out.',
  );
}

type GivenTiling =
  | boolean
  | 'auto'
  | { readonly tileSize?: number | { readonly x: number; readonly y: number } | undefined; readonly overlap: number };

/** Tile sizes in latent cells; 0 is the engine's own. */
export function resolveTiling(tiling: GivenTiling | undefined): NativeTiling | 'auto' {
  if (tiling === undefined || tiling === 'auto') return 'auto';
  if (tiling === false) return { enabled: false, tileSizeX: 0, tileSizeY: 0, overlap: 0.5 };
  if (tiling === true) return { enabled: true, tileSizeX: 0, tileSizeY: 0, overlap: 0.5 };
  const { tileSize = 0, overlap } = tiling;
  const [tileSizeX, tileSizeY] = typeof tileSize === 'number' ? [tileSize, tileSize] : [tileSize.x, tileSize.y];
  return { enabled: true, tileSizeX, tileSizeY, overlap };
}
