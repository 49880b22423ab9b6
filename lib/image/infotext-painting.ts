import { invalidOption } from '../errors/index.js';
import {
  inpaintAreas,
  maskedContents,
  oneOf,
  resizeAliases,
  resizeLabels,
  resizeModes,
  labelOf,
} from '../options/index.js';
import type { Field } from './infotext-fields.js';

// A1111 writes these only where they differ from its defaults, which are ours: nothing inverted, the whole picture, the
// original content. Its blur of two axes it does not write at all; ours is `4x8`.

/** Of one number, or of two that are joined by an x. */
const maskBlur: Field = {
  name: 'maskBlur',
  key: 'Mask blur',
  write: (value) => {
    if (typeof value === 'number') return String(value);
    const { x, y } = value as { readonly x: number; readonly y: number };
    return `${String(x)}x${String(y)}`;
  },
  read: (text, field) => {
    const [x = NaN, y = x, ...more] = text.split('x').map((part) => (part.trim() === '' ? NaN : Number(part)));
    if (!Number.isFinite(x) || !Number.isFinite(y) || more.length > 0)
      throw invalidOption(field, text, 'a number of pixels, or two as 4x8');
    return x === y ? x : { x, y };
  },
};

const notMasked = 'Inpaint not masked';

const maskInvert: Field = {
  name: 'maskInvert',
  key: 'Mask mode',
  write: (value) => (value === true ? notMasked : undefined),
  read: (text, field) => oneOf(['Inpaint masked', notMasked]).check(text, field) === notMasked,
};

const areaLabels = { 'whole picture': 'Whole picture', 'only masked': 'Only masked' } as const;

const inpaintArea: Field = {
  name: 'inpaintArea',
  key: 'Inpaint area',
  write: (value) => labelOf(areaLabels, value),
  read: (text, field) => oneOf(inpaintAreas).check(text, field),
};

const maskedPadding: Field = {
  name: 'maskedPadding',
  key: 'Masked area padding',
  write: (value) => (typeof value === 'number' ? String(value) : undefined),
  read: (text, field) => {
    if (!/^\d{1,5}$/.test(text.trim())) throw invalidOption(field, text, 'a whole number of pixels');
    return Number(text);
  },
};

const maskedContent: Field = {
  name: 'maskedContent',
  key: 'Masked content',
  write: String,
  read: (text, field) => oneOf(maskedContents).check(text, field),
};

/** Ours alone: A1111 always pastes back. */
const pasteBack: Field = {
  name: 'pasteBack',
  key: 'Paste back',
  write: (value) => (value === true ? 'True' : 'False'),
  read: (text, field) => oneOf(['True', 'False']).check(text, field) === 'True',
};

/** A1111's labels, under the key that SD.Next uses; A1111 itself does not write it. */
const resizeMode: Field = {
  name: 'resizeMode',
  key: 'Resize mode',
  write: (value) => labelOf(resizeLabels, value),
  read: (text, field) => oneOf(resizeModes, { aliases: resizeAliases }).check(text, field),
};

/** Of inpaint, in A1111's order. */
export const maskFields: readonly Field[] = [
  maskInvert,
  maskBlur,
  inpaintArea,
  maskedPadding,
  maskedContent,
  pasteBack,
];

/** Of img2img and inpaint. */
export const pictureFields: readonly Field[] = [resizeMode];

/** Keys that only inpainting has; A1111 writes none of them for a mask without blur and with its other defaults. */
export const maskKeys: readonly string[] = maskFields.map(({ key }) => key);
