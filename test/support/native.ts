import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect } from 'vitest';
import {
  createRuntime,
  DiffusionError,
  type GeneratedImage,
  type GenerateResult,
  type LoadModelOptions,
  type Model,
  type RawImage,
  type Runtime,
  type Txt2ImgRequest,
} from '../../lib/index.js';
import { loadAddon, type NativeAddon } from '../../lib/native/index.js';

/** Smallest picture that a UNet model makes: one multiple of 64 pixels on each side. */
export const edge = 64;

/** A request of two evaluations of the diffusion model; everything that costs time is as small as it goes. */
export const tiny = {
  prompt: 'a red apple',
  width: edge,
  height: edge,
  steps: 2,
  cfgScale: 1,
  sampler: 'euler',
  schedule: 'discrete',
  seed: 1,
} as const satisfies Txt2ImgRequest;

/** One thread: with more, ggml's threads wait for each other actively, which takes long where others work as well. */
export const threads = 1;

export interface NativeFixture {
  readonly runtime: Runtime;
  /** The embedded model. */
  readonly model: Model;
}

/** A runtime and the embedded model for all tests of the calling file. */
export function useModel(options: LoadModelOptions = {}): NativeFixture {
  let runtime: Runtime | undefined;
  let model: Model | undefined;
  beforeAll(async () => {
    runtime = await createRuntime({ backend: 'cpu', threads });
    model = await runtime.loadModel(options);
  });
  afterAll(async () => {
    await runtime?.dispose({ abort: true });
  });
  const present = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('The model was not loaded');
    return value;
  };
  return {
    get runtime() {
      return present(runtime);
    },
    get model() {
      return present(model);
    },
  };
}

/** The raw addon, as `lib/native/contract.ts` describes it. */
export function rawAddon(): NativeAddon {
  return loadAddon().addon;
}

export function sha256(data: Uint8Array | Float32Array): string {
  return createHash('sha256')
    .update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    .digest('hex');
}

/** Hashes of the pixels of a result, in order. */
export function hashes({ images }: Pick<GenerateResult, 'images'>): string[] {
  return images.map(({ data }) => sha256(data));
}

/** The only picture of a result. */
export function only({ images }: Pick<GenerateResult, 'images'>): GeneratedImage {
  const [image] = images;
  if (image === undefined || images.length !== 1) throw new Error(`${String(images.length)} pictures, expected one`);
  return image;
}

/** Mean absolute difference of two pictures of one size, in levels (0..255). */
export function meanDiff(a: Uint8Array, b: Uint8Array): number {
  expect(a.length).toBe(b.length);
  let sum = 0;
  for (const [index, value] of a.entries()) sum += Math.abs(value - (b[index] ?? 0));
  return sum / a.length;
}

/** Standard deviation of all samples; 0 for one colour of grey. */
export function deviation(data: ArrayLike<number>): number {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < data.length; i++) {
    const value = data[i] ?? 0;
    sum += value;
    squares += value * value;
  }
  return Math.sqrt(Math.max(0, squares / data.length - (sum / data.length) ** 2));
}

/** A picture of the right size that is finite by its type and shows something. */
export function expectPicture(image: RawImage, width: number = edge, height: number = edge): void {
  expect([image.width, image.height, image.channels]).toEqual([width, height, 3]);
  expect(image.data).toBeInstanceOf(Uint8Array);
  expect(image.data.length).toBe(width * height * 3);
  expect(deviation(image.data)).toBeGreaterThan(1);
}

/** A picture made by a formula: three channels, each 0..255. */
export function paint(
  pixel: (x: number, y: number) => readonly [number, number, number],
  size: number = edge,
): RawImage {
  const data = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) data.set(pixel(x, y), (y * size + x) * 3);
  }
  return { width: size, height: size, channels: 3, data };
}

/** What a promise rejects with; a promise that resolves fails the test. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('The promise resolved, expected a rejection');
}

/** The typed error that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<DiffusionError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(DiffusionError);
  return error as DiffusionError;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Two full collections with time for finalizers between; false where the process was not started with --expose-gc. */
export async function collectGarbage(): Promise<boolean> {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  if (typeof gc !== 'function') return false;
  for (let i = 0; i < 2; i++) {
    gc();
    await sleep(20);
  }
  return true;
}
