import { invalidOption } from '../../errors/index.js';
import {
  boolean,
  type Checked,
  type InpaintArea,
  inpaintAreaAliases,
  inpaintAreas,
  integer,
  maskedContentAliases,
  maskedContents,
  type MaskedContent,
  number,
  object,
  oneOf,
  optional,
  resizeAliases,
  resizeModes,
  union,
} from '../../options/index.js';
import type { Blur } from './blur.js';

const sigma = number({ min: 0, max: 64 });

/** Options of img2img and inpaint about the shape of their pictures. */
export const resizeSpec = { resizeMode: oneOf(resizeModes, { aliases: resizeAliases, default: 'stretch' }) } as const;

/** Options of inpaint about its mask. */
export const maskSpec = {
  maskBlur: optional(union([sigma, object({ x: sigma, y: sigma })], (value) => (typeof value === 'object' ? 1 : 0))),
  maskInvert: boolean({ default: false }),
  maskedContent: oneOf(maskedContents, { aliases: maskedContentAliases, default: 'original' }),
  inpaintArea: oneOf(inpaintAreas, { aliases: inpaintAreaAliases, default: 'whole picture' }),
  maskedPadding: integer({ min: 0, max: 8192, default: 32 }),
  pasteBack: optional(boolean()),
} as const;

export const maskFields = Object.keys(maskSpec) as readonly (keyof typeof maskSpec)[];

export type GivenMasking = Partial<Checked<typeof maskSpec>>;

/** How a picture is painted inside its mask, everything decided; plain data that a pass carries. */
export interface Masking {
  readonly blur: Blur;
  readonly invert: boolean;
  readonly content: MaskedContent;
  readonly area: InpaintArea;
  readonly padding: number;
  readonly pasteBack: boolean;
}

/**
 * Fills the defaults in. What was kept is pasted back whenever something other than sd-cli's inpainting is asked for,
 * as A1111 always does.
 */
export function resolveMasking(given: GivenMasking): Masking {
  const { maskBlur = 0, maskInvert = false, maskedContent = 'original', inpaintArea = 'whole picture' } = given;
  const masking = {
    blur: typeof maskBlur === 'number' ? { x: maskBlur, y: maskBlur } : { x: maskBlur.x, y: maskBlur.y },
    invert: maskInvert,
    content: maskedContent,
    area: inpaintArea,
    padding: given.maskedPadding ?? 32,
  };
  return Object.freeze({ ...masking, pasteBack: given.pasteBack ?? pastesByDefault(masking) });
}

/** What {@link Masking.pasteBack} is unless a request says. */
export function pastesByDefault({ blur, invert, content, area }: Omit<Masking, 'pasteBack' | 'padding'>): boolean {
  return blur.x > 0 || blur.y > 0 || invert || content !== 'original' || area === 'only masked';
}

/**
 * Refuses options of a mask in a request without one.
 * @throws DiffusionError `ERR_INVALID_OPTION`.
 */
export function refuseMaskless(request: unknown): void {
  if (typeof request !== 'object' || request === null) return;
  const given = request as Readonly<Record<string, unknown>>;
  for (const field of maskFields) {
    if (!Object.hasOwn(given, field) || given[field] === undefined) continue;
    throw invalidOption(
      field,
      given[field],
      'a request with a mask',
      'Use inpaint with the option mask, or leave it out.',
    );
  }
}

/** The request's own fields again; what has no effect is left out. */
export function maskingFields(masking: Masking): Readonly<Record<string, unknown>> {
  const { blur, invert, content, area, padding, pasteBack } = masking;
  return {
    maskBlur: blur.x === blur.y ? blur.x : { x: blur.x, y: blur.y },
    ...(invert ? { maskInvert: true } : {}),
    ...(content === 'original' ? {} : { maskedContent: content }),
    ...(area === 'only masked' ? { inpaintArea: area, maskedPadding: padding } : {}),
    ...(pasteBack === pastesByDefault(masking) ? {} : { pasteBack }),
  };
}
