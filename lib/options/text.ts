import { fileURLToPath } from 'node:url';
import { resolve } from 'node:path';
import { DiffusionError, invalidOption, show } from '../errors/index.js';
import { checker, defaulted, type Checker, type DefaultedChecker } from './checker.js';

export interface TextOptions {
  /** Most UTF-16 code units. Default: 65,536. */
  readonly maxLength?: number;
  /** Default: true. */
  readonly allowEmpty?: boolean;
  readonly default?: string;
}

/**
 * UTF-16 code units a prompt may have: some thirty thousand tokens. The tokenizers take time with the square of a
 * word's length and cannot be stopped.
 */
export const maxPromptLength = 65_536;

const nulCharacter = '\u0000';
// A high surrogate without a low one after it, or a low one without a high one before it: not encodable as UTF-8.
const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** What is wrong with a text that goes to the engine as a C string in UTF-8; undefined when nothing is. */
function textFault(value: string, maxLength: number): string | undefined {
  if (value.length > maxLength) return `it has ${String(value.length)} characters`;
  if (value.includes(nulCharacter)) return `it has a NUL character at index ${String(value.indexOf(nulCharacter))}`;
  const lone = loneSurrogate.exec(value);
  return lone === null ? undefined : `it has half a surrogate pair at index ${String(lone.index)}`;
}

/** A string without NUL and without lone surrogates. */
export function text(options: TextOptions & { readonly default: string }): DefaultedChecker<string>;
export function text(options?: TextOptions): Checker<string>;
export function text(options: TextOptions = {}): Checker<string> | DefaultedChecker<string> {
  const { maxLength = maxPromptLength, allowEmpty = true } = options;
  const allowed = `a ${allowEmpty ? '' : 'non-empty '}string`;
  const inner = checker(allowed, (value, field) => {
    if (typeof value !== 'string' || (value === '' && !allowEmpty)) throw invalidOption(field, value, allowed);
    const fault = textFault(value, maxLength);
    if (fault !== undefined) {
      const whole = `${allowed} of at most ${String(maxLength)} characters, without NUL or lone surrogates`;
      throw invalidOption(field, value, whole, `Here ${fault}.`);
    }
    return value;
  });
  return defaulted(inner, options);
}

/** A prompt: as {@link text}, up to {@link maxPromptLength}, may be empty; throws `ERR_INVALID_PROMPT`. */
export function prompt(options: { readonly default: string }): DefaultedChecker<string>;
export function prompt(options?: { readonly default?: undefined }): Checker<string>;
export function prompt(
  options: { readonly default?: string | undefined } = {},
): Checker<string> | DefaultedChecker<string> {
  const allowed = `a string of at most ${String(maxPromptLength)} characters, without NUL or lone surrogates`;
  const inner = checker(allowed, (value, field) => {
    const fault = typeof value === 'string' ? textFault(value, maxPromptLength) : 'it is not a string';
    if (fault === undefined) return value as string;
    const hint = value === undefined ? 'Pass an empty string for no prompt.' : `Here ${fault}.`;
    const message = `Invalid prompt "${field}": got ${show(value)}, expected ${allowed}. ${hint}`;
    throw new DiffusionError('ERR_INVALID_PROMPT', message, { field, given: value, allowed, hint });
  });
  return defaulted(inner, options);
}

/** A path or a `file:` URL; the result is an absolute path. Whether the file exists is not looked at. */
export function filePath(): Checker<string, string | URL> {
  const allowed = 'a path or a file: URL';
  return checker(allowed, (value, field) => {
    if (value instanceof URL) {
      if (value.protocol !== 'file:') {
        throw invalidOption(field, value.href, allowed, 'Only local files are read; download it first.');
      }
      try {
        return fileURLToPath(value);
      } catch {
        throw invalidOption(field, value.href, allowed, 'This URL names no file on this machine.');
      }
    }
    if (typeof value !== 'string' || value === '') throw invalidOption(field, value, allowed);
    if (/^(?:https?|data|file):/i.test(value)) {
      const hint = /^file:/i.test(value)
        ? 'Pass new URL(…) rather than its text.'
        : 'Only local files are read; download it first.';
      throw invalidOption(field, value, allowed, hint);
    }
    const fault = textFault(value, maxPromptLength);
    if (fault !== undefined) throw invalidOption(field, value, allowed, `Here ${fault}.`);
    return resolve(value);
  });
}
