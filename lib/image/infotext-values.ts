import { invalidOption } from '../errors/index.js';

/** Key of the strength: that of img2img and inpaint, or of a hires pass. */
export const strengthKey = 'Denoising strength';

/** @throws DiffusionError `ERR_INVALID_OPTION` naming `field`. */
export function readNumber(text: string, field: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw invalidOption(field, text, 'a number');
  return value;
}

/**
 * `512x768`, pixels.
 * @throws DiffusionError `ERR_INVALID_OPTION` naming the key.
 */
export function readSize(text: string, key: string): { readonly width: number; readonly height: number } {
  const match = /^(?<width>\d{1,5})x(?<height>\d{1,5})$/.exec(text.trim())?.groups;
  if (match === undefined) throw invalidOption(`infotext.${key}`, text, 'width and height, e.g. 512x768');
  return { width: Number(match.width), height: Number(match.height) };
}
