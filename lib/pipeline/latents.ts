import type { NativeEncodeImageParams, NativeImage, NativeTensor } from '../native/index.js';
import type { ModelFacts } from './facts.js';
import type { Inputs } from './inputs.js';
import { latentMask, unshuffleMask, widenMask } from './mask.js';
import type { Pass } from './plan.js';
import { referenceSize } from './references.js';
import { concatChannels, flatImage, resizeImageNearest, resizeNearest, zeros, zerosLike } from './tensors.js';

type Item = NativeEncodeImageParams['images'][number];

/** What sampling starts from and is steered by, beside the text. */
export interface PreparedLatents {
  readonly latent: NativeTensor;
  readonly mask: NativeTensor | null;
  readonly concat: NativeTensor | null;
  readonly uncondConcat: NativeTensor | null;
  readonly refLatents: readonly NativeTensor[];
}

type PassSize = Pick<Pass, 'width' | 'height'>;

/** Pictures to encode, and where each result goes. */
export interface EncodePlan {
  readonly items: readonly Item[];
  readonly init: number | null;
  readonly control: number | null;
  readonly refs: readonly number[];
  readonly masked: number | null;
}

/**
 * Pictures that a pass needs as latents, in the engine's order (`prepare_image_generation_latents`): start picture,
 * control picture, references, masked picture. The order matters, since the VAE draws its samples one after the other
 * from one generator.
 */
export function planEncoding(pass: PassSize, inputs: Inputs, facts: ModelFacts): EncodePlan {
  const items: Item[] = [];
  const add = (image: NativeImage, mask: NativeImage | null = null): number => items.push({ image, mask }) - 1;
  const { width, height } = pass;
  const fills = facts.isInpaint && !isFlex(facts) && inputs.image !== null;

  const init = inputs.image === null ? null : add(inputs.image);
  // The engine encodes the control picture also when nothing reads the result; it counts when others draw after it.
  const draws = inputs.refImages.length > 0 || fills;
  const control =
    inputs.controlImage !== null && (facts.isControl || (draws && facts.canEncodeImages))
      ? add(inputs.controlImage)
      : null;
  const references =
    facts.isEdit && inputs.refImages.length === 0 ? [flatImage(width, height, 3, 0)] : inputs.refImages;
  const refs = references.map((image) => {
    const size = referenceSize(image, width, height, facts.architecture);
    return add(resizeImageNearest(image, size.width, size.height));
  });
  const masked = fills ? add(inputs.image, inputs.mask ?? flatImage(width, height, 1, 255)) : null;
  return { items, init, control, refs, masked };
}

/** Puts the encoded pictures in their places. `encoded` has one latent for each item of the plan. */
export function prepareLatents(
  pass: PassSize,
  inputs: Inputs,
  facts: ModelFacts,
  plan: EncodePlan,
  encoded: readonly NativeTensor[],
): PreparedLatents {
  const f = facts.scaleFactor;
  const empty = zeros(facts.latentChannels, pass.height / f, pass.width / f);
  const at = (index: number | null): NativeTensor | null => (index === null ? null : (encoded[index] ?? null));
  const latent = at(plan.init) ?? empty;
  const control = at(plan.control);
  const refLatents = plan.refs.flatMap((index) => at(index) ?? []);
  const fullMask = inputs.mask ?? (facts.isInpaint ? flatImage(pass.width, pass.height, 1, 255) : null);
  const cells = fullMask === null ? null : latentMask(fullMask, f);

  const base = { latent, refLatents, mask: inputs.mask === null ? null : cells };
  if (facts.isInpaint && fullMask !== null && cells !== null) {
    const mask = inputs.mask === null ? null : widenMask(cells);
    return {
      ...base,
      mask,
      ...inpaintConcat(facts, latent, at(plan.masked) ?? zerosLike(latent), control, fullMask, cells),
    };
  }
  if (facts.isEdit) {
    const [, , height = 0, width = 0] = latent.shape;
    const concat = resizeNearest(refLatents[0] ?? empty, height, width);
    return { ...base, concat, uncondConcat: zerosLike(concat) };
  }
  if (facts.isControl) return { ...base, concat: control ?? zerosLike(latent), uncondConcat: zerosLike(latent) };
  return { ...base, concat: null, uncondConcat: null };
}

function inpaintConcat(
  facts: ModelFacts,
  latent: NativeTensor,
  masked: NativeTensor,
  control: NativeTensor | null,
  fullMask: NativeImage,
  cells: NativeTensor,
): Pick<PreparedLatents, 'concat' | 'uncondConcat'> {
  const nothing = zerosLike(latent);
  if (facts.architecture === 'Flux Fill') {
    const mask = unshuffleMask(fullMask, facts.scaleFactor);
    return { concat: concatChannels(masked, mask), uncondConcat: concatChannels(nothing, mask) };
  }
  if (isFlex(facts)) {
    // The engine's own generate_image replaces this by the control latent alone, which its Flex.2 graph then reads
    // past the end of; this is what the graph expects.
    const kept = keepOutside(latent, cells);
    return {
      concat: concatChannels(kept, cells, control ?? nothing),
      uncondConcat: concatChannels(nothing, cells, nothing),
    };
  }
  return { concat: concatChannels(cells, masked), uncondConcat: concatChannels(cells, nothing) };
}

/** Zero where the mask repaints. */
function keepOutside(latent: NativeTensor, cells: NativeTensor): NativeTensor {
  const size = cells.data.length;
  return {
    shape: latent.shape,
    data: latent.data.map((value, index) => value * (1 - (cells.data[index % size] ?? 0))),
  };
}

function isFlex(facts: ModelFacts): boolean {
  return facts.architecture === 'Flex.2';
}
