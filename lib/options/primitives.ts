import { invalidOption } from '../errors/index.js';
import { checker, defaulted, type Checker, type DefaultedChecker } from './checker.js';

export interface NumberRange {
  /** Smallest allowed, inclusive. */
  readonly min?: number;
  /** Largest allowed, inclusive. */
  readonly max?: number;
  /** The value must be a whole number of these. */
  readonly multipleOf?: number;
  readonly default?: number;
}

function inWords(noun: string, { min, max, multipleOf }: NumberRange): string {
  const multiple = multipleOf === undefined || multipleOf === 1 ? noun : `${noun}, a multiple of ${String(multipleOf)}`;
  if (min !== undefined && max !== undefined) return `${multiple}, ${String(min)} to ${String(max)}`;
  if (min !== undefined) return `${multiple}, ${String(min)} or more`;
  return max === undefined ? multiple : `${multiple}, ${String(max)} or less`;
}

function multipleHint(value: number, range: NumberRange): string | undefined {
  const { multipleOf, min = -Infinity, max = Infinity } = range;
  if (multipleOf === undefined) return undefined;
  const below = Math.floor(value / multipleOf) * multipleOf;
  const near = [below, below + multipleOf].filter((candidate) => candidate >= min && candidate <= max);
  return near.length === 0 ? undefined : `Use ${near.join(' or ')}.`;
}

function numeric(noun: string, range: NumberRange, whole: boolean): Checker<number> | DefaultedChecker<number> {
  const allowed = inWords(noun, range);
  const { min = -Infinity, max = Infinity, multipleOf } = range;
  const inner = checker(allowed, (value, field) => {
    if (typeof value !== 'number') {
      const hint = typeof value === 'string' || typeof value === 'bigint' ? 'Pass a number.' : undefined;
      throw invalidOption(field, value, allowed, hint);
    }
    if (!Number.isFinite(value) || value < min || value > max) throw invalidOption(field, value, allowed);
    if (whole && !Number.isSafeInteger(value)) throw invalidOption(field, value, allowed);
    if (multipleOf !== undefined && value % multipleOf !== 0) {
      throw invalidOption(field, value, allowed, multipleHint(value, range));
    }
    return value + 0; // turns -0 into 0
  });
  return defaulted(inner, range);
}

/** A safe integer. Refuses NaN, infinities, fractions, strings and bigints. */
export function integer(range: NumberRange & { readonly default: number }): DefaultedChecker<number>;
export function integer(range?: NumberRange): Checker<number>;
export function integer(range: NumberRange = {}): Checker<number> | DefaultedChecker<number> {
  return numeric('an integer', range, true);
}

/** A finite number. */
export function number(range: NumberRange & { readonly default: number }): DefaultedChecker<number>;
export function number(range?: NumberRange): Checker<number>;
export function number(range: NumberRange = {}): Checker<number> | DefaultedChecker<number> {
  return numeric('a finite number', range, false);
}

/** Width or height in pixels: a multiple of `multipleOf` (default 64), `min` (one multiple) to `max` (8192). */
export function size(range: NumberRange & { readonly default: number }): DefaultedChecker<number>;
export function size(range?: NumberRange): Checker<number>;
export function size(range: NumberRange = {}): Checker<number> | DefaultedChecker<number> {
  const multipleOf = range.multipleOf ?? 64;
  return numeric('an integer', { max: 8192, ...range, multipleOf, min: range.min ?? multipleOf }, true);
}

/** `true` or `false`; nothing else counts as either. */
export function boolean(options: { readonly default: boolean }): DefaultedChecker<boolean>;
export function boolean(options?: { readonly default?: undefined }): Checker<boolean>;
export function boolean(
  options: { readonly default?: boolean | undefined } = {},
): Checker<boolean> | DefaultedChecker<boolean> {
  const allowed = 'true or false';
  const inner = checker(allowed, (value, field) => {
    if (typeof value !== 'boolean') throw invalidOption(field, value, allowed);
    return value;
  });
  return defaulted(inner, options);
}

/** Any callable of type `F`; the signature itself cannot be checked. */
export function func<F extends (...args: never[]) => unknown>(): Checker<F> {
  return checker('a function', (value, field) => {
    if (typeof value !== 'function') throw invalidOption(field, value, 'a function');
    return value as F;
  });
}

/** An `AbortSignal`, also one of another realm (worker polyfills, jsdom). */
export function signal(): Checker<AbortSignal> {
  return checker('an AbortSignal', (value, field) => {
    if (!isAbortSignal(value)) {
      const hint = value instanceof AbortController ? 'Pass its property signal.' : undefined;
      throw invalidOption(field, value, 'an AbortSignal', hint);
    }
    return value;
  });
}

function isAbortSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false;
  const candidate = value as Partial<Record<keyof AbortSignal, unknown>>;
  return typeof candidate.aborted === 'boolean' && typeof candidate.addEventListener === 'function';
}
