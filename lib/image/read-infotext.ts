import { DiffusionError } from '../errors/index.js';
import { checkOptions, optional, signal as abortSignal } from '../options/index.js';
import { abortable } from './abortable.js';
import { readUserComment } from './exif.js';
import { invalidImage, reason } from './invalid-image.js';
import { loadBytes } from './load-bytes.js';
import { loadSharp } from './load-sharp.js';
import { isPng, readPngText } from './png-text.js';

export interface ReadInfotextOptions {
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/**
 * The infotext in a picture file: of a PNG the text chunk `parameters` (tEXt, zTXt or iTXt), else the EXIF field
 * UserComment (JPEG, WebP, AVIF, and PNG too). Null when there is none. See `parseInfotext` and `infotextToRequest`.
 * @throws DiffusionError `ERR_IMAGE_INVALID` when there is no such file or it is no picture.
 */
export async function readInfotext(
  input: string | URL | Uint8Array | ArrayBuffer,
  options: ReadInfotextOptions = {},
): Promise<string | null> {
  const { signal } = checkOptions('readInfotext', options, { signal: optional(abortSignal()) });
  signal?.throwIfAborted();
  const bytes = await loadBytes(input, 'image', signal);
  const text = isPng(bytes) ? readPngText(bytes, 'parameters') : null;
  if (text !== null) return text;
  try {
    const sharp = await loadSharp();
    // Only the header is read, so no limit on pixels is needed.
    const { exif } = await abortable(() => sharp(bytes, { limitInputPixels: false }).metadata(), signal);
    return exif === undefined ? null : readUserComment(exif);
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof DiffusionError) throw cause;
    throw invalidImage(
      'image',
      typeof input === 'string' ? input : undefined,
      'a picture file',
      `${reason(cause)}.`,
      cause,
    );
  }
}
