import { show } from '../errors/index.js';
import { invalidImage } from './invalid-image.js';

/** Longest edge of any picture that is read or written, in pixels. */
export const maxEdge = 16_384;

/** 8-bit sRGB pixels, row by row, interleaved: `data.length = width * height * channels`. */
export interface RawImage {
  /** Pixels, 1..16384. */
  readonly width: number;
  /** Pixels, 1..16384. */
  readonly height: number;
  /** 1: grey (masks), 3: RGB. */
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
}

/** Pixels as callers may give them; `channels` 4 is RGB with straight alpha (not premultiplied). */
export interface RawImageInput {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3 | 4;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/**
 * A picture: a path, a `file:` URL, the bytes of an encoded picture (PNG, JPEG, WebP, GIF, TIFF, AVIF; of an animation
 * the first frame), or raw pixels (a `GeneratedImage` is one).
 */
export type ImageInput = string | URL | Uint8Array | ArrayBuffer | RawImageInput;

/** Shape and bytes of raw pixels before they are checked. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** True for what claims to be raw pixels rather than an encoded picture. */
export function isPixels(value: unknown): value is Pixels {
  return typeof value === 'object' && value !== null && 'data' in value && !ArrayBuffer.isView(value);
}

/**
 * Checks raw pixels.
 * @throws DiffusionError `ERR_IMAGE_INVALID` naming `field.width`, `field.height`, `field.channels` or `field.data`.
 */
export function checkPixels(pixels: Pixels, field: string, channelCounts: readonly number[] = [1, 3, 4]): void {
  const given: unknown = pixels;
  if (typeof given !== 'object' || given === null)
    throw invalidImage(field, given, 'raw pixels { width, height, channels, data }');
  const { width, height, channels, data } = pixels;
  checkEdge(width, `${field}.width`);
  checkEdge(height, `${field}.height`);
  if (!channelCounts.includes(channels)) throw invalidImage(`${field}.channels`, channels, channelCounts.join(', '));
  if (!(data instanceof Uint8Array) && !(data instanceof Uint8ClampedArray)) {
    throw invalidImage(`${field}.data`, data, 'a Uint8Array or Uint8ClampedArray');
  }
  const length = width * height * channels;
  if (data.length !== length) {
    const allowed = `${String(length)} bytes (${String(width)} x ${String(height)} x ${String(channels)})`;
    throw invalidImage(`${field}.data`, `${String(data.length)} bytes`, allowed);
  }
}

/** Checks one edge of a picture. */
export function checkEdge(value: unknown, field: string): asserts value is number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maxEdge) return;
  const hint =
    typeof value === 'number' && value > maxEdge ? `Scale it down; ${show(value)} pixels are too many.` : undefined;
  throw invalidImage(field, value, `an integer, 1 to ${String(maxEdge)}`, hint);
}
