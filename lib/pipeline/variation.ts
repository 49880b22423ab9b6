import type { JobScope, NativeModel, NativeTensor } from '../native/index.js';
import { type Checked, integer, number } from '../options/index.js';
import { batchSeeds, resolveSeed } from './seeds.js';

/** Options of every picture request. */
export const variationSpec = {
  variationSeed: integer({ min: -1, default: -1 }),
  variationStrength: number({ min: 0, max: 1, default: 0 }),
} as const;

/** How far each picture of a batch goes from the noise of its seed towards that of another. */
export interface Variation {
  /** Above 0, up to 1. */
  readonly strength: number;
  /** One for each picture: variationSeed, variationSeed + 1, … */
  readonly seeds: readonly number[];
}

/** Null: the strength is 0, so the variation seed has no effect. */
export function resolveVariation(
  { variationSeed, variationStrength: strength }: Checked<typeof variationSpec>,
  batchSize: number,
  random?: () => number,
): Variation | null {
  if (strength === 0) return null;
  const seeds = batchSeeds(resolveSeed(variationSeed, random), batchSize, 'variationSeed');
  return Object.freeze({ strength, seeds: Object.freeze(seeds) });
}

/** The engine's noise of a seed, in the shape of a latent. */
export function noiseOf(
  native: NativeModel,
  scope: JobScope,
  seed: number,
  { shape }: NativeTensor,
): Promise<NativeTensor> {
  const [, , height = 0, width = 0] = shape;
  return scope.run(() => native.noise({ seed, width, height }));
}

/**
 * Noise that a picture begins with; null: that of its seed, which the engine draws by itself.
 * @param index place in the batch, from 0.
 */
export async function startNoise(
  native: NativeModel,
  scope: JobScope,
  variation: Variation | null,
  index: number,
  seed: number,
  latent: NativeTensor,
): Promise<NativeTensor | null> {
  const other = variation?.seeds[index];
  if (variation === null || other === undefined) return null;
  const high = await noiseOf(native, scope, other, latent);
  return variation.strength === 1 ? high : slerp(await noiseOf(native, scope, seed, latent), high, variation.strength);
}

/**
 * Spherical interpolation as A1111 mixes noise (`slerp` in modules/rng.py): along every column of every channel, so
 * that the mixture is as strong as noise.
 * @param low at strength 0; `high` at strength 1. `[1, channels, height, width]`.
 */
export function slerp(low: NativeTensor, high: NativeTensor, strength: number): NativeTensor {
  const [, channels = 0, height = 0, width = 0] = low.shape;
  const data = new Float32Array(low.data.length);
  for (let c = 0; c < channels; c++) {
    for (let x = 0; x < width; x++) {
      const column = { start: c * height * width + x, step: width, count: height };
      const [a, b] = weights(cosine(low.data, high.data, column), strength);
      for (let y = 0; y < height; y++) {
        const i = column.start + y * width;
        data[i] = a * (low.data[i] ?? 0) + b * (high.data[i] ?? 0);
      }
    }
  }
  return { shape: low.shape, data };
}

interface Column {
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

function cosine(low: Float32Array, high: Float32Array, { start, step, count }: Column): number {
  let [dot, a, b] = [0, 0, 0];
  for (let n = 0; n < count; n++) {
    const [x, y] = [low[start + n * step] ?? 0, high[start + n * step] ?? 0];
    dot += x * y;
    a += x * x;
    b += y * y;
  }
  return Math.min(1, Math.max(-1, dot / Math.sqrt(a * b)));
}

/** Columns of one direction (the same seed twice, a latent of one row) have no arc between them and are mixed straight. */
function weights(cos: number, strength: number): [number, number] {
  const angle = Math.acos(cos);
  const sine = Math.sin(angle);
  if (!(sine > 1e-6)) return [1 - strength, strength];
  return [Math.sin((1 - strength) * angle) / sine, Math.sin(strength * angle) / sine];
}
