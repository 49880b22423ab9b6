import { type ImageInput, type RawImage, readImage, readMask, resizeTo } from '../image/index.js';
import { DiffusionError, invalidOption } from '../errors/index.js';
import type { NativeImage } from '../native/index.js';
import type { ResizeMode } from '../options/index.js';
import { ignored } from './sampling.js';
import type { ModelFacts } from './facts.js';
import type { Overlay } from './inpaint/overlay.js';
import { prepareInpaint } from './inpaint/prepare.js';
import { cut, type Region } from './inpaint/region.js';
import { type GivenMasking, resolveMasking } from './inpaint/settings.js';
import { roundMask } from './mask.js';
import { fitSize } from './plan.js';

/** Pictures of a request as given, and what is done to them. */
export interface GivenImages extends GivenMasking {
  readonly image?: ImageInput;
  readonly mask?: ImageInput;
  readonly controlImage?: ImageInput;
  readonly refImages?: readonly ImageInput[];
  readonly resizeMode?: ResizeMode;
}

/** Pictures of a request as pixels, at the size they are used in. */
export interface Inputs {
  readonly image: NativeImage | null;
  /** One channel, 0 or 255. */
  readonly mask: NativeImage | null;
  readonly controlImage: NativeImage | null;
  /** At their own sizes. */
  readonly refImages: readonly NativeImage[];
  /** What is laid over the results. */
  readonly overlay?: Overlay | null;
}

export const noInputs: Inputs = Object.freeze({ image: null, mask: null, controlImage: null, refImages: [] });

/** Refuses pictures that the model cannot use, before anything is read or queued. */
export function checkImages(given: GivenImages, facts: ModelFacts): void {
  if (given.controlImage !== undefined && !facts.hasControlNet && !facts.isControl) {
    throw invalidOption(
      'controlImage',
      given.controlImage,
      'a model with a ControlNet',
      'Load the model with the option controlNet.',
    );
  }
  const refs = given.refImages ?? [];
  if (refs.length > 0 && !facts.isDit && !facts.isEdit) {
    throw ignored('refImages', refs, facts, 'edit models', 'Use img2img with the option image.');
  }
  const field = given.image !== undefined ? 'image' : refs.length > 0 || facts.isEdit ? 'refImages' : undefined;
  if (field !== undefined && !facts.canEncodeImages) {
    const hint = 'Load the model without vaeDecodeOnly.';
    throw new DiffusionError(
      'ERR_MODEL_UNSUPPORTED',
      `"${field}" needs the VAE's encoder, which was not loaded. ${hint}`,
      { field, hint },
    );
  }
}

export interface WantedSize {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

/**
 * Reads all pictures of a request; those with a place in the picture are brought to its size, which without a wish is
 * the start picture's own, rounded down to the model's multiple, and the model's where only the masked part is painted.
 */
export async function readInputs(
  given: GivenImages,
  wanted: WantedSize,
  facts: ModelFacts,
  signal?: AbortSignal,
): Promise<Inputs & { readonly width: number; readonly height: number }> {
  const { defaults } = facts;
  const reading = (field: string): { field: string; signal?: AbortSignal } =>
    signal === undefined ? { field } : { field, signal };
  const own = given.image === undefined ? null : await readImage(given.image, reading('image'));
  const free = own === null || given.inpaintArea === 'only masked' ? defaults : fitted(own, facts);
  const size = { width: wanted.width ?? free.width, height: wanted.height ?? free.height };
  const placed = await readPlaced(given, own, size, reading);
  const refImages: NativeImage[] = [];
  for (const [index, ref] of (given.refImages ?? []).entries()) {
    refImages.push(await readImage(ref, reading(`refImages[${String(index)}]`)));
  }
  return { ...placed, refImages, ...size };
}

function fitted({ width, height }: RawImage, facts: ModelFacts): { readonly width: number; readonly height: number } {
  return { width: fitSize(width, facts), height: fitSize(height, facts) };
}

/** The pictures with a place in the one that is made. */
async function readPlaced(
  given: GivenImages,
  own: (RawImage & { readonly channels: 3 }) | null,
  size: { readonly width: number; readonly height: number },
  reading: (field: string) => { readonly field: string; readonly signal?: AbortSignal },
): Promise<Omit<Inputs, 'refImages'>> {
  const { resizeMode = 'stretch' } = given;
  const { signal } = reading('image');
  if (own === null || given.mask === undefined) {
    const image = own === null ? null : await resizeTo(own, { ...size, ...reading('image'), mode: resizeMode });
    return { image, mask: null, overlay: null, controlImage: await readControl(given, null, null, size, reading) };
  }
  const mask = roundMask(await readMask(given.mask, reading('mask')));
  const { region, ...prepared } = await prepareInpaint(own, mask, size, resolveMasking(given), resizeMode, signal);
  return { ...prepared, controlImage: await readControl(given, own, region, size, reading) };
}

/** Where only a part of the start picture is painted, the control picture belongs to the whole and is cut alike. */
async function readControl(
  { controlImage }: GivenImages,
  own: RawImage | null,
  region: Region | null,
  size: { readonly width: number; readonly height: number },
  reading: (field: string) => { readonly field: string; readonly signal?: AbortSignal },
): Promise<NativeImage | null> {
  if (controlImage === undefined) return null;
  const options = reading('controlImage');
  const control = await readImage(controlImage, options);
  if (own === null || region === null) return resizeTo(control, { ...options, ...size, mode: 'stretch' });
  const { width, height } = own;
  const whole = await resizeTo(control, { ...options, width, height, mode: 'stretch' });
  return resizeTo({ ...cut(whole, region), channels: 3 as const }, { ...options, ...size, mode: 'pad' });
}
