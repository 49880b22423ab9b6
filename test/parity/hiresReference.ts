import { readFileSync } from 'node:fs';
import { type ReferenceArray, referencePath } from './reference.js';

/** A request of two passes; `diffusers/README.md` explains the fields. */
export interface TwoPassCase {
  readonly name: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly cfgScale: number;
  readonly width: number;
  readonly height: number;
  readonly sampler: string;
  readonly schedule: string;
  readonly hires: {
    /** A1111's label. */
    readonly upscaler: string;
    readonly width: number;
    readonly height: number;
    readonly steps: number;
    readonly denoisingStrength: number;
  };
  readonly file: string;
}

/** With what is in between. */
export interface HiresCase extends TwoPassCase {
  readonly rng: string;
  readonly totalSteps: number;
  readonly covering: readonly [width: number, height: number];
  readonly firstFile: string;
  /** Of pixel upscalers only. */
  readonly enlargedFile?: string;
  readonly sigmas: readonly number[];
  readonly hiresSigmas: readonly number[];
  readonly arrays: {
    readonly noise: ReferenceArray;
    readonly firstLatent: ReferenceArray;
    readonly start: ReferenceArray;
    readonly hiresNoise: ReferenceArray;
    readonly latent: ReferenceArray;
  };
}

export interface HiresReference {
  readonly weightsSha256: string;
  /** dB. */
  readonly minimumPsnr: number;
  readonly cases: readonly HiresCase[];
}

export function readHiresReference(): HiresReference {
  return JSON.parse(readFileSync(referencePath('hires.json'), 'utf8')) as HiresReference;
}
