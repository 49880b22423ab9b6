import { invalidOption } from '../errors/index.js';
import type { NativeTensor } from '../native/index.js';
import type { LatentSpace } from './space.js';

/** Of a picture, in pixels, and of a batch. */
const maxSide = 65_536;
/** Half a GiB. */
const maxNumbers = 2 ** 27;

function checkShape(shape: unknown): readonly number[] {
  if (Array.isArray(shape) && shape.every((size) => typeof size === 'number')) return shape;
  throw invalidOption('shape', shape, 'an array [batch, channels, height / f, width / f]');
}

function checkSpaceValue(space: unknown): void {
  const { channels, scaleFactor, source } = (space ?? {}) as Record<string, unknown>;
  const sound = (value: unknown): boolean => typeof value === 'number' && Number.isInteger(value) && value > 0;
  if (sound(channels) && sound(scaleFactor) && typeof source === 'object') return;
  throw invalidOption('space', space, 'the latentSpace of a model');
}

/** `[batch, channels, height / scaleFactor, width / scaleFactor]`. */
export type LatentShape = readonly [batch: number, channels: number, height: number, width: number];

/**
 * A latent: f32 values in row-major order, with the VAE space they live in. Immutable by convention: operations of a
 * model take latents and return new ones.
 */
export class Latent {
  readonly shape: LatentShape;
  readonly space: LatentSpace;
  readonly #data: Float32Array;

  private constructor(data: Float32Array, shape: LatentShape, space: LatentSpace) {
    this.#data = data;
    this.shape = shape;
    this.space = space;
    Object.freeze(this);
  }

  /**
   * Copies numbers into a latent.
   * @param space of the model the latent is for: `model.latentSpace`.
   * @throws DiffusionError `ERR_INVALID_OPTION` when shape, length or space disagree, or a number is not finite.
   */
  static from(data: Float32Array, shape: readonly number[], space: LatentSpace): Latent {
    const [batch, channels, height, width] = checkShape(shape);
    checkSpaceValue(space);
    if (
      shape.length !== 4 ||
      batch === undefined ||
      channels === undefined ||
      height === undefined ||
      width === undefined ||
      !shape.every((n) => Number.isSafeInteger(n) && n > 0)
    ) {
      throw invalidOption(
        'shape',
        `[${shape.join(', ')}]`,
        'four positive integers [batch, channels, height / f, width / f]',
      );
    }
    if (channels !== space.channels) throw invalidOption('shape[1]', channels, `${String(space.channels)} channels`);
    const length = batch * channels * height * width;
    if (!(data instanceof Float32Array) || data.length !== length) {
      const given = data instanceof Float32Array ? `${String(data.length)} numbers` : data;
      throw invalidOption('data', given, `a Float32Array of ${shape.join(' x ')} = ${String(length)} numbers`);
    }
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw invalidOption(`data[${String(bad)}]`, data[bad], 'finite numbers');
    return new Latent(data.slice(), [batch, channels, height, width], space);
  }

  /** All zeros: the start of txt2img. Width and height in pixels. */
  static zeros(width: number, height: number, space: LatentSpace, batch = 1): Latent {
    checkSpaceValue(space);
    for (const [field, value, multiple] of [
      ['width', width, space.scaleFactor],
      ['height', height, space.scaleFactor],
      ['batch', batch, 1],
    ] as const) {
      if (!Number.isInteger(value) || value < 1 || value > maxSide || value % multiple !== 0)
        throw invalidOption(field, value, `an integer from 1 to ${String(maxSide)}, a multiple of ${String(multiple)}`);
    }
    const shape: LatentShape = [batch, space.channels, height / space.scaleFactor, width / space.scaleFactor];
    const length = shape.reduce((a, b) => a * b, 1);
    if (length > maxNumbers) throw invalidOption('batch', batch, `a latent of at most ${String(maxNumbers)} numbers`);
    return Latent.from(new Float32Array(length), shape, space);
  }

  /**
   * Takes over a tensor that the addon made, without a copy.
   * @internal
   */
  static adopt({ data, shape }: NativeTensor, space: LatentSpace): Latent {
    const [batch = 0, channels = 0, height = 0, width = 0] = shape;
    return new Latent(data, [batch, channels, height, width], space);
  }

  get batch(): number {
    return this.shape[0];
  }

  /** Pixels. */
  get width(): number {
    return this.shape[3] * this.space.scaleFactor;
  }

  /** Pixels. */
  get height(): number {
    return this.shape[2] * this.space.scaleFactor;
  }

  /** A copy of the numbers. */
  toFloat32Array(): Float32Array {
    return this.#data.slice();
  }

  /** One image of the batch, from 0, as a latent of batch 1. */
  at(index: number): Latent {
    if (!Number.isInteger(index) || index < 0 || index >= this.batch) {
      throw invalidOption('index', index, `an integer from 0 to ${String(this.batch - 1)}`);
    }
    const [, channels, height, width] = this.shape;
    const size = channels * height * width;
    return new Latent(this.#data.slice(index * size, (index + 1) * size), [1, channels, height, width], this.space);
  }

  /**
   * For the addon; one image only.
   * @internal
   */
  toNative(): NativeTensor {
    return { shape: this.shape, data: this.#data };
  }

  /** Several latents of one size and space as one batch. */
  static concat(latents: readonly Latent[]): Latent {
    const first =
      Array.isArray(latents) && latents.every((latent) => latent instanceof Latent) ? latents[0] : undefined;
    if (first === undefined) throw invalidOption('latents', latents, 'at least one latent');
    const [, channels, height, width] = first.shape;
    const size = channels * height * width;
    let batch = 0;
    for (const latent of latents) {
      if (latent.space !== first.space || latent.shape[2] !== height || latent.shape[3] !== width) {
        throw invalidOption(
          'latents',
          latent.shape.join('x'),
          `latents of one space and of size ${String(height)}x${String(width)}`,
        );
      }
      batch += latent.batch;
    }
    const data = new Float32Array(batch * size);
    let offset = 0;
    for (const latent of latents) {
      data.set(latent.#data, offset);
      offset += latent.#data.length;
    }
    return new Latent(data, [batch, channels, height, width], first.space);
  }
}
