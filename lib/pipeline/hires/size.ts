import { invalidOption } from '../../errors/index.js';
import { maxEdge } from '../../image/index.js';
import { number, size as edgeOption } from '../../options/index.js';
import type { ModelFacts } from '../facts.js';

/** Of a second pass; `scale` goes with neither edge. */
export interface HiresSizeOptions {
  /** Times that width and height grow, from 1. Default: 2 when neither edge is given. */
  readonly scale?: number | undefined;
  /** Pixels, a multiple of the model's. The other edge follows the first pass when only one is given. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Pixels, all whole numbers. The picture of the first pass is enlarged, then cut to the size of the second. */
export interface HiresSize extends Size {
  /** What the first pass is enlarged to; it covers width and height and keeps the shape of the first pass. */
  readonly upscaledWidth: number;
  readonly upscaledHeight: number;
  /** Left and upper edge of the part that is kept; whole latent cells. */
  readonly cropX: number;
  readonly cropY: number;
  /** False: the second pass has the size of the first. A1111 leaves it out then. */
  readonly enlarges: boolean;
}

const longest = 8192;

/**
 * Sizes of the second pass, after A1111 1.10 (`calculate_target_resolution` of `modules/processing.py`): `scale` times
 * each edge, rounded down; or one edge given and the other in proportion, rounded down; or both. Then the smallest
 * size of the first pass's shape that covers the target, with t = (upscaled - target) // f cells cut off, t // 2 of
 * them on the left and above.
 *
 * Other than there: A1111 runs any size in multiples of 8, the engine's models want their own multiple. An edge that
 * was given must be one; one that follows is rounded down to one, and what that leaves over is cut off, so nothing is
 * stretched. Where A1111 makes an edge smaller, or ignores `scale`, this is an error.
 * @param facts of the model that runs the second pass.
 * @throws DiffusionError `ERR_INVALID_OPTION` for `hires.scale`, `hires.width` or `hires.height`: not a multiple,
 *   smaller than the first pass, larger than 8192 pixels, or so far from its shape that the enlarged picture would be
 *   longer than 16384 pixels.
 */
export function hiresSize(
  first: Size,
  options: HiresSizeOptions,
  facts: Pick<ModelFacts, 'sizeMultiple' | 'scaleFactor'>,
): HiresSize {
  const { width, height } = target(first, options, facts.sizeMultiple);
  // Covers the target: wider than the first pass in shape, it has the target's width.
  const wider = first.width * height < width * first.height;
  const upscaledWidth = wider ? width : Math.floor((height * first.width) / first.height);
  const upscaledHeight = wider ? Math.floor((width * first.height) / first.width) : height;
  if (Math.max(upscaledWidth, upscaledHeight) > maxEdge) {
    const [field, given] = wider ? (['hires.width', width] as const) : (['hires.height', height] as const);
    const shape = `${first.width} x ${first.height}`;
    const covers = `${upscaledWidth} x ${upscaledHeight}`;
    throw invalidOption(
      field,
      given,
      `a size nearer in shape to the first pass, ${shape}: covering this one takes ${covers} pixels`,
      'Give one edge only; the other then follows the first pass.',
    );
  }
  const f = facts.scaleFactor;
  const cut = (upscaled: number, kept: number): number => Math.floor(Math.floor((upscaled - kept) / f) / 2) * f;
  return Object.freeze({
    width,
    height,
    upscaledWidth,
    upscaledHeight,
    cropX: cut(upscaledWidth, width),
    cropY: cut(upscaledHeight, height),
    enlarges: upscaledWidth !== first.width || upscaledHeight !== first.height,
  });
}

/** Size of the second pass: both edges multiples, none smaller than the first pass. */
function target(first: Size, { scale, width, height }: HiresSizeOptions, multiple: number): Size {
  if (width === undefined && height === undefined) return scaled(first, scale ?? 2, multiple);
  if (scale !== undefined) {
    const hint = 'Leave one of them out: width and height say how much the picture grows.';
    throw invalidOption('hires.scale', scale, 'no scale beside hires.width or hires.height', hint);
  }
  const down = (pixels: number): number => Math.floor(pixels / multiple) * multiple;
  for (const [edge, value] of [
    ['width', width],
    ['height', height],
  ] as const) {
    if (value === undefined) continue;
    const field = `hires.${edge}`;
    edgeOption({ multipleOf: multiple, max: longest }).check(value, field);
    if (value >= first[edge]) continue;
    const hint = 'The second pass enlarges: ask for more, or make the first pass smaller.';
    throw invalidOption(field, value, `at least ${first[edge]} pixels, the ${edge} of the first pass`, hint);
  }
  if (width === undefined) {
    const given = height ?? first.height;
    return checked(first, { width: down((given * first.width) / first.height), height: given }, 'hires.height', given);
  }
  if (height !== undefined) return { width, height };
  return checked(first, { width, height: down((width * first.height) / first.width) }, 'hires.width', width);
}

function scaled(first: Size, given: number, multiple: number): Size {
  const scale = number({ min: 1 }).check(given, 'hires.scale');
  // 200 * 1.15 is 229.99999999999997 in 64 bits.
  const edge = (pixels: number): number => Math.floor((pixels * scale + 1e-6) / multiple) * multiple;
  return checked(first, { width: edge(first.width), height: edge(first.height) }, 'hires.scale', scale);
}

/** Refuses edges that follow from an option and are too short or too long; the error names that option. */
function checked(first: Size, { width, height }: Size, field: string, given: number): Size {
  if (width < first.width || height < first.height) {
    // The second pass has another model, and its multiple does not divide the first one's size.
    const allowed = `more: in multiples of its model the second pass would have ${width} x ${height} pixels`;
    throw invalidOption(field, given, allowed, `The first pass has ${first.width} x ${first.height}.`);
  }
  if (width > longest || height > longest) {
    const allowed = `less: the second pass would have ${width} x ${height} pixels, more than ${longest}`;
    throw invalidOption(field, given, allowed, `The first pass has ${first.width} x ${first.height}.`);
  }
  return { width, height };
}
