import { extname } from 'node:path';
import { invalidOption } from '../errors/index.js';
import { checkOptions, filePath } from '../options/index.js';
import {
  encodeJpeg,
  encodePng,
  encodeWebp,
  type JpegOptions,
  type PngOptions,
  saveSpec,
  type WebpOptions,
} from './encode.js';
import { checkPixels, type Pixels, type RawImage } from './pixels.js';
import { writeFileAtomic } from './write-file.js';

/** Options of every format; `save` uses those of the format that the extension names and checks no others. */
export type SaveOptions = PngOptions & WebpOptions & JpegOptions;

export interface GeneratedImageInit {
  /** RGB (or grey) pixels. The memory is kept, not copied. */
  readonly pixels: Omit<Pixels, 'data'> & { readonly data: Uint8Array };
  readonly seed: number;
  /** The request that makes this picture again. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** See `buildInfotext`; an empty string: none is written. */
  readonly infotext: string;
}

/** A picture that was made, with what it was made from. Immutable, but for the bytes of `data`. */
export class GeneratedImage implements RawImage {
  /** Pixels. */
  readonly width: number;
  /** Pixels. */
  readonly height: number;
  /** 3: RGB, 1: grey. */
  readonly channels: 1 | 3;
  /** 8-bit sRGB, row by row, interleaved. May be memory of the addon; it lives as long as this array. */
  readonly data: Uint8Array;
  /** The seed of this very picture: the request's seed, plus its place in the batch unless there is a variation seed. */
  readonly seed: number;
  /** The request that makes this picture again, defaults filled in. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** A1111's text form of the request, as written into files. */
  readonly infotext: string;

  /** @throws DiffusionError `ERR_IMAGE_INVALID` when the pixels do not have the size they claim. */
  constructor(init: GeneratedImageInit) {
    const { pixels } = init;
    checkPixels(pixels, 'image', [1, 3]);
    this.width = pixels.width;
    this.height = pixels.height;
    this.channels = pixels.channels === 1 ? 1 : 3;
    this.data = pixels.data;
    this.seed = init.seed;
    this.parameters = Object.freeze({ ...init.parameters });
    this.infotext = init.infotext;
    Object.freeze(this);
  }

  /**
   * PNG; the infotext is in the text chunk `parameters`.
   * @throws DiffusionError `ERR_INVALID_OPTION`.
   */
  toPng(options?: PngOptions): Promise<Buffer> {
    return encodePng(this, this.infotext, options);
  }

  /**
   * WebP; the infotext is in the EXIF field UserComment.
   * @throws DiffusionError `ERR_INVALID_OPTION`; `ERR_IMAGE_INVALID` when an edge is longer than WebP's 16,383 pixels.
   */
  toWebp(options?: WebpOptions): Promise<Buffer> {
    return encodeWebp(this, this.infotext, options);
  }

  /**
   * JPEG; the infotext is in the EXIF field UserComment.
   * @throws DiffusionError `ERR_INVALID_OPTION`, also when the infotext has more than the 32,737 UTF-16 units that fit.
   */
  toJpeg(options?: JpegOptions): Promise<Buffer> {
    return encodeJpeg(this, this.infotext, options);
  }

  /**
   * Writes a file whose format its extension names: .png, .webp, .jpg or .jpeg. The file appears whole or not at all;
   * an existing one is replaced. The folder must exist.
   * @returns The absolute path.
   * @throws DiffusionError `ERR_INVALID_OPTION` for another extension, a missing folder, or a file that cannot be
   *   written.
   */
  async save(path: string | URL, options: SaveOptions = {}): Promise<string> {
    const target = filePath().check(path, 'path');
    const encode = writers.get(extname(target).toLowerCase());
    if (encode === undefined) {
      throw invalidOption(
        'path',
        target,
        `a file name that ends in ${[...writers.keys()].join(', ')}`,
        'Add one of these extensions.',
      );
    }
    const checked = checkOptions('save', options, saveSpec);
    await writeFileAtomic(target, await encode(this, checked), checked.signal);
    return target;
  }
}

type Writer = (image: GeneratedImage, options: SaveOptions) => Promise<Buffer>;

/** The options without those of other formats. */
function without<K extends keyof SaveOptions>(options: SaveOptions, ...others: K[]): Omit<SaveOptions, K> {
  const left: ReadonlySet<string> = new Set(others);
  return Object.fromEntries(Object.entries(options).filter(([key]) => !left.has(key))) as Omit<SaveOptions, K>;
}

const jpeg: Writer = (image, options) => image.toJpeg(without(options, 'compression', 'lossless'));

const writers: ReadonlyMap<string, Writer> = new Map<string, Writer>([
  ['.png', (image, options) => image.toPng(without(options, 'quality', 'lossless'))],
  ['.webp', (image, options) => image.toWebp(without(options, 'compression'))],
  ['.jpg', jpeg],
  ['.jpeg', jpeg],
]);
