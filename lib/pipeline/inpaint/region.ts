import type { NativeImage, NativeSize } from '../../native/index.js';

/** A rectangle in a picture, pixels; right and bottom are the first column and row outside. */
export interface Region {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** The smallest rectangle with every pixel above 0 in it; null: there is none. */
export function maskBounds({ width, height, data }: NativeImage): Region | null {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[y * width + x] === 0) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = y + 1;
    }
  }
  return right === 0 ? null : { left, top, right, bottom };
}

/** The rectangle with `padding` pixels around it, as far as the picture goes. */
export function padRegion({ left, top, right, bottom }: Region, padding: number, picture: NativeSize): Region {
  return {
    left: Math.max(left - padding, 0),
    top: Math.max(top - padding, 0),
    right: Math.min(right + padding, picture.width),
    bottom: Math.min(bottom + padding, picture.height),
  };
}

/**
 * The rectangle widened along one axis to the shape of `wanted`, moved back into the picture where it sticks out, and
 * cut off where the picture is too small for it. As A1111's `expand_crop_region` (modules/masking.py).
 */
export function expandRegion(region: Region, wanted: NativeSize, picture: NativeSize): Region {
  const { left, top, right, bottom } = region;
  const [width, height] = [right - left, bottom - top];
  const aspect = wanted.width / wanted.height;
  if (width / height > aspect) {
    const [from, to] = widened(top, bottom, Math.trunc(width / aspect - height), picture.height);
    return { left, right, top: from, bottom: to };
  }
  const [from, to] = widened(left, right, Math.trunc(height * aspect - width), picture.width);
  return { top, bottom, left: from, right: to };
}

function widened(from: number, to: number, more: number, size: number): [number, number] {
  const before = Math.floor(more / 2);
  let [start, end] = [from - before, to + (more - before)];
  if (end >= size) [start, end] = [start - (end - size), size];
  if (start < 0) [start, end] = [0, end - start];
  return [start, Math.min(end, size)];
}

/** The part of a picture that lies in a rectangle. */
export function cut({ width, channels, data }: NativeImage, { left, top, right, bottom }: Region): NativeImage {
  const row = (right - left) * channels;
  const result = new Uint8Array(row * (bottom - top));
  for (let y = top; y < bottom; y++) {
    const start = (y * width + left) * channels;
    result.set(data.subarray(start, start + row), (y - top) * row);
  }
  return { width: right - left, height: bottom - top, channels, data: result };
}
