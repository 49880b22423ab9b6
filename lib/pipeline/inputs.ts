import { type ImageInput, readImage, readMask } from '../image/index.js';
import { DiffusionError, invalidOption } from '../errors/index.js';
import type { NativeImage } from '../native/index.js';
import { ignored } from './sampling.js';
import type { ModelFacts } from './facts.js';
import { roundMask } from './mask.js';
import { fitSize } from './plan.js';

/** Pictures of a request as given. */
export interface GivenImages {
  readonly image?: ImageInput;
  readonly mask?: ImageInput;
  readonly controlImage?: ImageInput;
  readonly refImages?: readonly ImageInput[];
}

/** Pictures of a request as pixels, at the size they are used in. */
export interface Inputs {
  readonly image: NativeImage | null;
  /** One channel, 0 or 255. */
  readonly mask: NativeImage | null;
  readonly controlImage: NativeImage | null;
  /** At their own sizes. */
  readonly refImages: readonly NativeImage[];
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

/** Size that a picture is used in, from its own. */
type Fit = (own: { readonly width: number; readonly height: number }) => {
  readonly width: number;
  readonly height: number;
};

/**
 * A picture at the size that `fit` wants. One that has that size already is not resampled, so its pixels stay exact.
 * @param read `readImage` or `readMask`.
 */
async function readFitted(
  read: typeof readImage | typeof readMask,
  input: ImageInput,
  fit: Fit,
  field: string,
  signal?: AbortSignal,
): Promise<NativeImage> {
  const options = { field, ...(signal === undefined ? {} : { signal }) };
  const own = await read(input, options);
  const { width, height } = fit(own);
  return own.width === width && own.height === height ? own : read(own, { ...options, resize: { width, height } });
}

export interface WantedSize {
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

/**
 * Reads all pictures of a request; those with a place in the picture are scaled to its size, which without a wish is
 * the start picture's own, rounded down to the model's multiple.
 */
export async function readInputs(
  given: GivenImages,
  wanted: WantedSize,
  facts: ModelFacts,
  signal?: AbortSignal,
): Promise<Inputs & { readonly width: number; readonly height: number }> {
  const { defaults } = facts;
  let size = { width: wanted.width ?? defaults.width, height: wanted.height ?? defaults.height };
  const ownFit: Fit = (own) =>
    (size = { width: wanted.width ?? fitSize(own.width, facts), height: wanted.height ?? fitSize(own.height, facts) });
  const image = given.image === undefined ? null : await readFitted(readImage, given.image, ownFit, 'image', signal);
  const mask =
    given.mask === undefined ? null : roundMask(await readFitted(readMask, given.mask, () => size, 'mask', signal));
  const control = given.controlImage;
  const controlImage =
    control === undefined ? null : await readFitted(readImage, control, () => size, 'controlImage', signal);
  const refImages: NativeImage[] = [];
  for (const [index, ref] of (given.refImages ?? []).entries()) {
    refImages.push(await readFitted(readImage, ref, (own) => own, `refImages[${String(index)}]`, signal));
  }
  return { image, mask, controlImage, refImages, ...size };
}
