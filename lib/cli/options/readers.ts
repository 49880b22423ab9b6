import { invalidOption } from '../../errors/index.js';
import { isAutomatic, oneOf, resolveSampler, resolveSchedule } from '../../options/index.js';
import type { Reader } from './define.js';

// Ranges are not looked at here: the specs of the API know them, see `check-request.ts`.

export const readText: Reader = (text) => text;

export const readInteger: Reader = (text, field) => {
  if (!/^[+-]?\d+$/.test(text)) throw invalidOption(field, text, 'an integer');
  return Number(text);
};

/** A device by index, or by name. */
export const readDevice: Reader = (text) => (/^\d+$/.test(text) ? Number(text) : text);

export const readNumber: Reader = (text, field) => {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw invalidOption(field, text, 'a number');
  return value;
};

/** `14.6,5.1,0`. */
export const readNumbers: Reader = (text, field) => text.split(',').map((entry) => readNumber(entry.trim(), field));

/** `7,8,9`. */
export const readIntegers: Reader = (text, field) => text.split(',').map((entry) => readInteger(entry.trim(), field));

/** `512` or `512x768`. */
export const readSize: Reader = (text, field) => {
  const [width, height] = pair(text, field, 'an edge or WIDTHxHEIGHT in pixels, e.g. 512 or 512x768');
  return { width, height };
};

/** `32` or `32x64`. */
export const readTileSize: Reader = (text, field) => {
  const [x, y] = pair(text, field, 'an edge or WIDTHxHEIGHT in latent cells, e.g. 32 or 32x64');
  return x === y ? x : { x, y };
};

/** `4`, `2.5` or `4x8`: along both axes, or one after the other. */
export const readBlur: Reader = (text, field) => {
  const [x = NaN, y = x, ...more] = text.split('x').map((part) => (part.trim() === '' ? NaN : Number(part)));
  if (!Number.isFinite(x) || !Number.isFinite(y) || more.length > 0)
    throw invalidOption(field, text, 'a number of pixels or XxY, e.g. 4 or 4x8');
  return x === y ? x : { x, y };
};

function pair(text: string, field: string, allowed: string): [number, number] {
  const match = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(text.trim());
  if (match === null) throw invalidOption(field, text, allowed);
  const first = Number(match[1]);
  return [first, match[2] === undefined ? first : Number(match[2])];
}

export function readChoice<T extends string>(names: readonly T[], aliases: Readonly<Record<string, T>> = {}): Reader {
  const checker = oneOf(names, { aliases });
  return (text, field) => checker.check(text, field);
}

/** The name as given, once it is known to mean a sampler: `DPM++ 2M Karras` names a schedule too. */
export const readSampler: Reader = (text, field) => {
  resolveSampler(text, field);
  return text;
};

export const readSchedule: Reader = (text, field) => {
  if (!isAutomatic(text)) resolveSchedule(text, field);
  return text;
};

/** `same`, `built-in`, or paths with commas between them. */
export const readModules: Reader = (text) => {
  const choice = text.trim().toLowerCase();
  return choice === 'same' || choice === 'built-in' ? choice : text.split(',').map((path) => path.trim());
};
