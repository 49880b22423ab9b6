import { invalidImage, type RawImage, resizeTo } from '../../image/index.js';
import { invalidOption } from '../../errors/index.js';
import type { NativeImage, NativeSize } from '../../native/index.js';
import type { ResizeMode } from '../../options/index.js';
import { roundMask } from '../mask.js';
import { blurMask } from './blur.js';
import { fillMasked } from './fill.js';
import { doubled, type Overlay } from './overlay.js';
import { cut, expandRegion, maskBounds, padRegion, type Region } from './region.js';
import type { Masking } from './settings.js';

/** Pictures of an inpainting at the size they are painted in. */
export interface Prepared {
  readonly image: NativeImage;
  /** One channel, 0 or 255. */
  readonly mask: NativeImage;
  readonly overlay: Overlay | null;
  /** What part of the original is painted; null: all of it. */
  readonly region: Region | null;
}

type Rgb = RawImage & { readonly channels: 3 };
type Grey = RawImage & { readonly channels: 1 };

/**
 * Brings picture and mask to the size they are painted in, in A1111's order: the mask is inverted, then blurred at its
 * own size; then the part to be painted is cut out and scaled, or both are scaled; then the masked part is filled.
 * @param mask in the proportions of the picture, 0 or 255.
 * @throws DiffusionError `ERR_IMAGE_INVALID` for a mask of other proportions, `ERR_INVALID_OPTION` when only the masked part is
 *   to be painted and there is none.
 */
export async function prepareInpaint(
  image: Rgb,
  mask: Grey,
  size: NativeSize,
  masking: Masking,
  resizeMode: ResizeMode,
  signal?: AbortSignal,
): Promise<Prepared> {
  checkProportions(image, mask);
  const marked = masking.invert ? { ...mask, data: mask.data.map((value) => 255 - value) } : mask;
  const placed =
    masking.area === 'only masked'
      ? await onlyMasked(image, marked, size, masking, signal)
      : await wholePicture(image, marked, size, masking, resizeMode, signal);
  // A1111 fills under the latent kinds as well: cells at the mask's edge see some of it.
  const filled = masking.content === 'original' ? placed.image : await fillMasked(placed.image, placed.soft, signal);
  const { region, overlay } = placed;
  return { image: filled, mask: roundMask(placed.soft), region, overlay: masking.pasteBack ? overlay : null };
}

/** A smaller or larger mask of the same picture is one pixel off at most. */
function checkProportions(image: NativeSize, mask: NativeSize): void {
  const off = Math.abs(image.width * mask.height - image.height * mask.width);
  if (off <= Math.max(image.width, image.height, mask.width, mask.height)) return;
  const text = ({ width, height }: NativeSize): string => `${String(width)}x${String(height)}`;
  const hint = 'Give a mask of the picture that is painted over, of its size or scaled with it.';
  throw invalidImage('mask', text(mask), `the proportions of the picture (${text(image)})`, hint);
}

interface Placed {
  readonly image: NativeImage;
  /** As blurred. */
  readonly soft: NativeImage;
  readonly overlay: Overlay;
  readonly region: Region | null;
}

async function wholePicture(
  image: Rgb,
  mask: Grey,
  size: NativeSize,
  { blur }: Masking,
  mode: ResizeMode,
  signal: AbortSignal | undefined,
): Promise<Placed> {
  const { width, height } = size;
  const options = { width, height, mode, signal };
  const resized = await resizeTo(image, { ...options, field: 'image' });
  const soft = await resizeTo(
    { ...mask, data: blurMask(mask, blur).data },
    { ...options, field: 'mask', kernel: maskKernel(blur) },
  );
  return { image: resized, soft, region: null, overlay: { image: resized, mask: doubled(soft), region: null } };
}

async function onlyMasked(
  image: Rgb,
  mask: Grey,
  size: NativeSize,
  { blur, padding }: Masking,
  signal: AbortSignal | undefined,
): Promise<Placed> {
  const own = { width: image.width, height: image.height };
  const fitted = await resizeTo(mask, { ...own, mode: 'stretch', field: 'mask', signal });
  const soft = { ...fitted, data: blurMask(fitted, blur).data };
  const bounds = maskBounds(soft);
  if (bounds === null || !soft.data.some((value) => value >= 128)) throw nothingMasked(mask, blur);
  const region = expandRegion(padRegion(bounds, padding, own), size, own);
  const { width, height } = size;
  const options = { width, height, mode: 'pad', signal } as const;
  const part = { ...cut(image, region), channels: 3 as const };
  const partMask = { ...cut(soft, region), channels: 1 as const };
  return {
    image: await resizeTo(part, { ...options, field: 'image' }),
    soft: await resizeTo(partMask, { ...options, field: 'mask', kernel: maskKernel(blur) }),
    region,
    overlay: { image, mask: soft, region },
  };
}

/** A mask of two levels stays one; a soft one is scaled smoothly. */
function maskKernel({ x, y }: Masking['blur']): 'nearest' | 'lanczos3' {
  return x > 0 || y > 0 ? 'lanczos3' : 'nearest';
}

function nothingMasked(mask: Grey, { x, y }: Masking['blur']): Error {
  const blank = !mask.data.some((value) => value >= 128);
  const given = blank ? 'a mask without a white pixel' : 'a mask whose white part the blur takes away';
  const hint = blank
    ? "Paint what is to be painted anew white, turn maskInvert over, or use inpaintArea: 'whole picture'."
    : `Lower maskBlur (${String(x)}, ${String(y)}) or paint a larger white part.`;
  return invalidOption('mask', given, "something white (> 127) to paint, since inpaintArea is 'only masked'", hint);
}
