import { readFileSync } from 'node:fs';
import type { TwoPassCase } from './hiresReference.js';
import { referencePath } from './reference.js';
import type { Perturbation, Synthesis } from './seeded.js';

/** Two passes, the second with a checkpoint that both sides make; `diffusers/README.md` explains the fields. */
export interface CheckpointCase extends TwoPassCase {
  readonly hires: TwoPassCase['hires'] & { readonly cfgScale?: number };
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
