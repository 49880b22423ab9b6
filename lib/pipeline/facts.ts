import type { Schedule } from '../options/index.js';
import type { NativeModelInfo } from '../native/index.js';
import type { ModelDefaults } from './defaults.js';
import type { LatentSpace } from './space.js';

/** What the pipeline knows of a loaded model. */
export interface ModelFacts extends NativeModelInfo {
  /** For captions. */
  readonly name: string;
  readonly embedded: boolean;
  readonly defaults: ModelDefaults;
  readonly space: LatentSpace;
}

/** The engine's schedule for a sampler (`sd_get_default_scheduler`). */
export function defaultSchedule(facts: Pick<ModelFacts, 'prediction'>, sampler: string): Schedule {
  if (facts.prediction === 'edm_v') return 'exponential';
  if (sampler === 'lcm' || sampler === 'tcd') return 'lcm';
  return sampler === 'ddim_trailing' ? 'simple' : 'discrete';
}

/** True for models that read an image beside the noise, the only ones that image guidance can steer. */
export function hasImageGuidance(facts: ModelFacts): boolean {
  return facts.isInpaint || facts.isEdit || facts.isControl;
}
