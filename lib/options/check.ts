import { DiffusionError, invalidOption } from '../errors/index.js';
import type { Checked, Spec } from './checker.js';
import { didYouMean, suggestOption } from './suggest.js';

/**
 * Checks the options of a call against a spec.
 * @param name What the options are for, as people call it: `txt2img`.
 * @param given What the caller passed; `undefined` counts as no options.
 * @returns A frozen object with exactly the keys of the spec: defaults filled in, left-out optional keys absent. Every
 *   value was read once, so later changes by the caller have no effect.
 * @throws DiffusionError `ERR_INVALID_OPTION` (or the checker's own code) naming the field, with a suggestion for
 *   unknown names.
 */
export function checkOptions<S extends Spec>(name: string, given: unknown, spec: S): Checked<S> {
  if (given === undefined) return checkFields({}, spec, '', name);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw invalidOption(name, given, `an object with the options of ${name}`);
  }
  return checkFields(given, spec, '', name);
}

/** As {@link checkOptions} for an object whose fields are called `prefix` + key. */
export function checkFields<S extends Spec>(given: object, spec: S, prefix: string, name: string): Checked<S> {
  const names = Object.keys(spec);
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(spec, key)) continue;
    const value = (given as Readonly<Record<string, unknown>>)[key];
    throw unknownOption(`${prefix}${key}`, value, key, names, name);
  }
  const result: Record<string, unknown> = {};
  for (const key of names) {
    const checker = spec[key];
    const value = (given as Readonly<Record<string, unknown>>)[key];
    if (checker === undefined) continue;
    if (value !== undefined || checker.presence === 'required') result[key] = checker.check(value, `${prefix}${key}`);
    else if (checker.presence === 'defaulted') result[key] = checker.fallback;
  }
  return Object.freeze(result) as Checked<S>;
}

function unknownOption(
  field: string,
  given: unknown,
  key: string,
  names: readonly string[],
  name: string,
): DiffusionError {
  const allowed = `one of ${names.join(', ')}`;
  const hint = didYouMean(suggestOption(key, names)) ?? `Allowed: ${names.join(', ')}.`;
  return new DiffusionError('ERR_INVALID_OPTION', `Unknown option "${field}" of ${name}. ${hint}`, {
    field,
    given,
    allowed,
    hint,
  });
}
