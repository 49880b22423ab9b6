import { readFileSync } from 'node:fs';
import { referencePath } from './reference.js';
import type { Perturbation, Synthesis } from './seeded.js';

/** Two passes, the second with a checkpoint that both sides make; `diffusers/README.md` explains the fields. */
export interface CheckpointCase {
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
    readonly cfgScale?: number;
  };
  readonly file: string;
  /** One of the two. */
  readonly perturbation?: Perturbation;
  readonly synthesis?: Synthesis;
  /** Decibels between the picture and that of the same pass with one thing changed. */
  readonly controls: Readonly<Record<string, number>>;
}

export interface CheckpointReference {
  readonly weightsSha256: string;
  /** dB. */
  readonly minimumPsnr: number;
  readonly cases: readonly CheckpointCase[];
}

export function readCheckpointReference(): CheckpointReference {
  return JSON.parse(readFileSync(referencePath('checkpoints.json'), 'utf8')) as CheckpointReference;
}
