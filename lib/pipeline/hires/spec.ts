import {
  boolean,
  filePath,
  integer,
  number,
  object,
  optional,
  prompt,
  samplerName,
  scheduleName,
} from '../../options/index.js';
import { lorasSpec } from '../../weights/index.js';
import { modulesSpec } from '../modulesSpec.js';
import { refinerSpec } from '../refiner/spec.js';
import { upscalerOption } from './upscalers.js';

/** Options of the second pass; what is left out is taken from the first. */
export const hiresFields = {
  scale: optional(number({ min: 1, max: 64 })),
  width: optional(integer({ min: 1, max: 8192 })),
  height: optional(integer({ min: 1, max: 8192 })),
  upscaler: optional(upscalerOption()),
  steps: optional(integer({ min: 0, max: 1000 })),
  denoisingStrength: number({ min: 0, max: 1, default: 0.7 }),
  prompt: optional(prompt()),
  negativePrompt: optional(prompt()),
  sampler: optional(samplerName()),
  schedule: optional(scheduleName()),
  cfgScale: optional(number({ min: 0, max: 100 })),
  guidance: optional(number({ min: 0, max: 100 })),
  clipSkip: optional(integer({ min: 1, max: 12 })),
  seed: optional(integer({ min: 0 })),
  loras: optional(lorasSpec),
  checkpoint: optional(filePath()),
  modules: optional(modulesSpec),
  refiner: optional(refinerSpec),
  strict: boolean({ default: false }),
} as const;

export const hiresSpec = object(hiresFields);
