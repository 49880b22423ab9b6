import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export interface ReferenceArray {
  readonly file: string;
  readonly shape: readonly number[];
}

/** Stages of a case, in their order. */
export interface ReferenceArrays {
  /** Of img2img only. */
  readonly encoded?: ReferenceArray;
  readonly noise: ReferenceArray;
  readonly epsilon: ReferenceArray;
  readonly latent: ReferenceArray;
}

/** One picture of diffusers; `diffusers/README.md` explains the fields. */
export interface ReferenceCase {
  readonly name: string;
  readonly prompt: string;
  readonly negativePrompt: string;
  readonly seed: number;
  readonly steps: number;
  readonly evaluations: number;
  readonly cfgScale: number;
  readonly width: number;
  readonly height: number;
  readonly sampler: string;
  readonly schedule: string;
  readonly rng: string;
  readonly initImage?: string;
  readonly strength?: number;
  readonly file: string;
  readonly sigmas: readonly number[];
  readonly arrays?: ReferenceArrays;
}

export interface Reference {
  readonly weightsSha256: string;
  /** dB. */
  readonly minimumPsnr: number;
  readonly cases: readonly ReferenceCase[];
}

/** Absolute path of a file of the reference. */
export function referencePath(name: string): string {
  return fileURLToPath(new URL(`diffusers/${name}`, import.meta.url));
}

export function readReference(): Reference {
  return JSON.parse(readFileSync(referencePath('reference.json'), 'utf8')) as Reference;
}

/** What `check_lifted.py` wrote: of which files diffusers' own readers made the models of the references. */
export interface LiftedFiles {
  readonly weightsSha256: string;
  readonly checkpointSha256: string;
  readonly taesdSha256: string;
}

export function readLifted(): LiftedFiles {
  return JSON.parse(readFileSync(referencePath('lifted.json'), 'utf8')) as LiftedFiles;
}

/** Little-endian f32, row by row. */
export function readArray({ file, shape }: ReferenceArray): Float32Array {
  const bytes = readFileSync(referencePath(file));
  const values = Float32Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4));
  const length = shape.reduce((product, size) => product * size, 1);
  if (values.length !== length)
    throw new Error(`${file} has ${String(values.length)} numbers, its shape ${String(length)}`);
  return values;
}
