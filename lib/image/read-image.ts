import type { Color, Sharp } from 'sharp';
import { DiffusionError } from '../errors/index.js';
import { abortable } from './abortable.js';
import { invalidImage, reason } from './invalid-image.js';
import { loadBytes } from './load-bytes.js';
import { loadSharp } from './load-sharp.js';
import { checkEdge, checkPixels, type ImageInput, isPixels, maxEdge, type RawImage } from './pixels.js';

/** Formats that are read. Vector formats are left out: their size is not a fact of the file. */
const formats = ['png', 'jpeg', 'webp', 'gif', 'tiff', 'heif'];
const formatNames = 'a PNG, JPEG, WebP, GIF, TIFF or AVIF picture';

export interface ResizeOptions {
  /** Pixels, 1..16384. */
  readonly width: number;
  /** Pixels, 1..16384. */
  readonly height: number;
  /** `fill` stretches, `cover` cuts off what sticks out (centred), `contain` adds background. Default: `fill`. */
  readonly fit?: 'fill' | 'cover' | 'contain';
  /** Default: `lanczos3` for pictures, `nearest` for masks. */
  readonly kernel?: 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';
}

export interface ReadImageOptions {
  /** Shown through transparent parts and around a contained picture. Default: white for pictures, black for masks. */
  readonly background?: Color;
  readonly resize?: ResizeOptions;
  /** Name of the input in errors. Default: `image` or `mask`. */
  readonly field?: string;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * Reads a picture as 8-bit sRGB: EXIF orientation and colour profile applied, alpha flattened, 16-bit reduced. The
 * result never shares memory with the input.
 * @throws DiffusionError `ERR_IMAGE_INVALID` for missing, broken, truncated or oversized pictures and for raw pixels
 *   whose size does not fit, naming the field; the library's error is its `cause`.
 */
export function readImage(
  input: ImageInput,
  options: ReadImageOptions = {},
): Promise<RawImage & { readonly channels: 3 }> {
  return read(input, options, 3, 'white', 'lanczos3', options.field ?? 'image');
}

/** As {@link readImage} but grey, one byte per pixel. Colours become their luminance; grey values stay as they are. */
export function readMask(
  input: ImageInput,
  options: ReadImageOptions = {},
): Promise<RawImage & { readonly channels: 1 }> {
  return read(input, options, 1, 'black', 'nearest', options.field ?? 'mask');
}

async function read<C extends 1 | 3>(
  input: ImageInput,
  options: ReadImageOptions,
  channels: C,
  defaultBackground: Color,
  defaultKernel: ResizeOptions['kernel'] & string,
  field: string,
): Promise<RawImage & { readonly channels: C }> {
  const { background = defaultBackground, resize, signal } = options;
  if (resize !== undefined) {
    checkEdge(resize.width, `${field}.resize.width`);
    checkEdge(resize.height, `${field}.resize.height`);
  }
  signal?.throwIfAborted();
  if (isPixels(input)) {
    checkPixels(input, field);
    const { width, height, data } = input;
    if (input.channels === channels && resize === undefined)
      return { width, height, channels, data: Uint8Array.from(data) };
  }
  const opened = await openPicture(input, field, signal);
  let pipeline = opened.autoOrient().flatten({ background });
  if (resize !== undefined) {
    const { width, height, fit = 'fill', kernel = defaultKernel } = resize;
    pipeline = pipeline.resize({ width, height, fit, kernel, background });
  }
  pipeline = channels === 1 ? pipeline.greyscale().toColourspace('b-w') : pipeline.toColourspace('srgb');
  const raw = pipeline.raw({ depth: 'uchar' });
  const { data, info } = await abortable(() => raw.toBuffer({ resolveWithObject: true }), signal).catch(
    (cause: unknown) => {
      signal?.throwIfAborted();
      throw invalidImage(field, describe(input), `${formatNames} that is whole`, `${reason(cause)}.`, cause);
    },
  );
  const image = {
    width: info.width,
    height: info.height,
    channels,
    data: new Uint8Array(data.buffer, data.byteOffset, data.length),
  };
  checkPixels(image, field);
  return image;
}

/** A sharp pipeline over the input, its header checked. */
async function openPicture(input: ImageInput, field: string, signal: AbortSignal | undefined): Promise<Sharp> {
  const sharp = await loadSharp();
  if (isPixels(input)) {
    const { width, height, channels, data } = input;
    return sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
  }
  const bytes = await loadBytes(input, field, signal);
  try {
    // 'error' also fails on truncated data; warnings (an odd colour profile, say) are let through.
    const pipeline = sharp(bytes, { failOn: 'error', limitInputPixels: maxEdge * maxEdge });
    const header = await abortable(() => pipeline.metadata(), signal);
    if (!formats.includes(header.format))
      throw invalidImage(field, describe(input), formatNames, `It is ${header.format}.`);
    checkEdge(header.width, `${field}.width`);
    checkEdge(header.height, `${field}.height`);
    return pipeline;
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof DiffusionError) throw cause;
    throw invalidImage(field, describe(input), formatNames, `${reason(cause)}.`, cause);
  }
}

function describe(input: ImageInput): unknown {
  if (input instanceof URL) return input.href;
  if (isPixels(input)) return 'raw pixels';
  return typeof input === 'string' ? input : `${String(input.byteLength)} bytes`;
}
