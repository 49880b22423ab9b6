import type { ResizeMode } from '../options/index.js';
import type { RawImage } from './pixels.js';
import { readImage, readMask, type ResizeOptions } from './read-image.js';

interface Size {
  readonly width: number;
  readonly height: number;
}

export interface ResizeModeOptions extends Size {
  readonly mode: ResizeMode;
  /** Default: `lanczos3` for pictures, `nearest` for masks. */
  readonly kernel?: ResizeOptions['kernel'];
  /** Name of the picture in errors. */
  readonly field: string;
  readonly signal?: AbortSignal | undefined;
}

/** Where a scaled picture lies in the one that is wanted, pixels. */
export interface Placement extends Size {
  readonly x: number;
  readonly y: number;
}

/**
 * A1111's resize modes (`resize_image` in modules/images.py): `stretch` takes the wanted size as it is; `crop` covers it
 * and `pad` fits into it, both centred and in the picture's own shape.
 */
export function placement(mode: ResizeMode, own: Size, wanted: Size): Placement {
  const { width, height } = wanted;
  if (mode === 'stretch') return { x: 0, y: 0, width, height };
  const aspect = width / height;
  const ownAspect = own.width / own.height;
  const byWidth = mode === 'crop' ? aspect > ownAspect : aspect < ownAspect;
  const byHeight = mode === 'crop' ? aspect <= ownAspect : aspect >= ownAspect;
  const scaled = {
    width: byWidth ? width : Math.max(1, Math.floor((own.width * height) / own.height)),
    height: byHeight ? height : Math.max(1, Math.floor((own.height * width) / own.width)),
  };
  const centre = (whole: number, part: number): number => Math.floor(whole / 2) - Math.floor(part / 2);
  return { ...scaled, x: centre(width, scaled.width), y: centre(height, scaled.height) };
}

/**
 * A picture or mask at the wanted size. What `pad` leaves free is filled with the pixels of the nearest edge. One that
 * has its size already is not resampled, so its pixels stay exact.
 */
export async function resizeTo<T extends RawImage>(image: T, options: ResizeModeOptions): Promise<T> {
  const { mode, kernel, field, signal, width, height } = options;
  const { x, y, ...scaled } = placement(mode, image, options);
  const resize = { ...scaled, ...(kernel === undefined ? {} : { kernel }) };
  const read = image.channels === 1 ? readMask : readImage;
  const same = image.width === scaled.width && image.height === scaled.height;
  const resized = same ? image : await read(image, { field, resize, ...(signal === undefined ? {} : { signal }) });
  const placed = x === 0 && y === 0 && scaled.width === width && scaled.height === height;
  return { ...image, width, height, data: placed ? resized.data : frame(resized, { x, y, width, height }) };
}

/** The picture at a place in a frame: what sticks out is cut off, what is left free gets the nearest edge pixels. */
function frame({ width, height, channels, data }: RawImage, wanted: Placement): Uint8Array {
  const result = new Uint8Array(wanted.width * wanted.height * channels);
  const within = (value: number, size: number): number => Math.min(Math.max(value, 0), size - 1);
  let offset = 0;
  for (let v = 0; v < wanted.height; v++) {
    const row = within(v - wanted.y, height) * width;
    for (let u = 0; u < wanted.width; u++) {
      const start = (row + within(u - wanted.x, width)) * channels;
      for (let c = 0; c < channels; c++) result[offset++] = data[start + c] ?? 0;
    }
  }
  return result;
}
