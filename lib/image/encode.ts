import type { Sharp } from 'sharp';
import { boolean, checkOptions, integer, optional, signal as signalOption } from '../options/index.js';
import { abortable } from './abortable.js';
import { insertJpegExif, insertWebpExif } from './exif-container.js';
import { writeUserComment } from './exif.js';
import { invalidImage, reason } from './invalid-image.js';
import { loadSharp } from './load-sharp.js';
import type { Pixels } from './pixels.js';
import { insertPngText } from './png-text.js';

export interface EncodeOptions {
  /** Write the infotext into the file. Default: true. */
  readonly infotext?: boolean;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface PngOptions extends EncodeOptions {
  /** zlib level, 0 (fast, large) to 9 (slow, small). Default: 6. */
  readonly compression?: number;
}

export interface WebpOptions extends EncodeOptions {
  /** 1..100. Default: 90. Without effect on pixels when lossless. */
  readonly quality?: number;
  /** Default: false. */
  readonly lossless?: boolean;
}

export interface JpegOptions extends EncodeOptions {
  /** 1..100. Default: 90. Colour is kept at full resolution (4:4:4). */
  readonly quality?: number;
}

const common = { infotext: boolean({ default: true }), signal: optional(signalOption()) };
const quality = integer({ min: 1, max: 100, default: 90 });
const pngSpec = { ...common, compression: integer({ min: 0, max: 9, default: 6 }) };
const webpSpec = { ...common, quality, lossless: boolean({ default: false }) };
const jpegSpec = { ...common, quality };

/** Of all formats: each takes what it has. */
export const saveSpec = { ...pngSpec, ...webpSpec };

/** PNG with the infotext in a text chunk `parameters`, as A1111 writes it. */
export async function encodePng(pixels: Pixels, infotext: string, given: PngOptions | undefined): Promise<Buffer> {
  const options = checkOptions('toPng', given, pngSpec);
  const png = await encode(pixels, options.signal, (image) => image.png({ compressionLevel: options.compression }));
  return options.infotext && infotext !== '' ? insertPngText(png, 'parameters', infotext) : png;
}

/** WebP with the infotext in the EXIF field UserComment, as A1111 writes it. */
export async function encodeWebp(pixels: Pixels, infotext: string, given: WebpOptions | undefined): Promise<Buffer> {
  const options = checkOptions('toWebp', given, webpSpec);
  const { quality: percent, lossless } = options;
  const webp = await encode(pixels, options.signal, (image) => image.webp({ quality: percent, lossless }));
  if (!options.infotext || infotext === '') return webp;
  return insertWebpExif(webp, writeUserComment(infotext), pixels.width, pixels.height);
}

/** JPEG with the infotext in the EXIF field UserComment, as A1111 writes it. */
export async function encodeJpeg(pixels: Pixels, infotext: string, given: JpegOptions | undefined): Promise<Buffer> {
  const options = checkOptions('toJpeg', given, jpegSpec);
  const settings = { quality: options.quality, chromaSubsampling: '4:4:4' };
  const jpeg = await encode(pixels, options.signal, (image) => image.jpeg(settings));
  return options.infotext && infotext !== '' ? insertJpegExif(jpeg, writeUserComment(infotext)) : jpeg;
}

async function encode(
  pixels: Pixels,
  signal: AbortSignal | undefined,
  format: (image: Sharp) => Sharp,
): Promise<Buffer> {
  signal?.throwIfAborted();
  const sharp = await loadSharp();
  const { width, height, data } = pixels;
  const channels = pixels.channels === 1 ? 1 : 3;
  try {
    const image = format(sharp(data, { raw: { width, height, channels }, limitInputPixels: false }));
    // A grey picture would otherwise be written as RGB.
    const output = channels === 1 ? image.toColourspace('b-w') : image;
    return await abortable(() => output.toBuffer(), signal);
  } catch (cause) {
    signal?.throwIfAborted();
    throw invalidImage(
      'image',
      `${String(width)} x ${String(height)} pixels`,
      'pixels this format can hold',
      `${reason(cause)}.`,
      cause,
    );
  }
}
