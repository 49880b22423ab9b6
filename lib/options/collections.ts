import { DiffusionError, invalidOption } from '../errors/index.js';
import { checkFields } from './check.js';
import { checker, type Checked, type Checker, type Given, type Spec } from './checker.js';

export interface LengthRange {
  /** Fewest entries. Default: 0. */
  readonly min?: number;
  /** Most entries. Default: 65,536. */
  readonly max?: number;
}

/** An array; entries are named `field[i]` in errors. The result is a frozen copy. */
export function arrayOf<Out, In>(
  inner: Checker<Out, In>,
  range: LengthRange = {},
): Checker<readonly Out[], readonly In[]> {
  const { min = 0, max = 65_536 } = range;
  const allowed = `an array of ${String(min)} to ${String(max)} entries, each ${inner.allowed}`;
  return checker(allowed, (value, field) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) throw invalidOption(field, value, allowed);
    return Object.freeze(Array.from(value as unknown[], (entry, i) => inner.check(entry, `${field}[${String(i)}]`)));
  });
}

type Floats = readonly number[] | Float32Array;

/** Numbers as a Float32Array or an array; every one finite in 32 bits. The result is a copy. */
export function floatArray(range: LengthRange = {}): Checker<Float32Array, Floats> {
  const { min = 0, max = 1 << 28 } = range;
  const allowed = `a Float32Array or an array of ${String(min)} to ${String(max)} finite numbers`;
  return checker(allowed, (value, field) => {
    if (!(value instanceof Float32Array) && !Array.isArray(value)) throw invalidOption(field, value, allowed);
    if (value.length < min || value.length > max) throw invalidOption(field, value, allowed);
    const copy = new Float32Array(value.length);
    for (let i = 0; i < copy.length; i++) {
      const entry: unknown = value[i];
      const fits = typeof entry === 'number' && Number.isFinite(Math.fround(entry));
      if (!fits) throw invalidOption(`${field}[${String(i)}]`, entry, 'a finite number');
      copy[i] = entry;
    }
    return copy;
  });
}

/** Noise levels for a sampler: 2 to `maxSteps` + 1 numbers, strictly decreasing in 32 bits, the last exactly 0. */
export function sigmas(maxSteps = 1000): Checker<Float32Array, Floats> {
  const allowed = `2 to ${String(maxSteps + 1)} strictly decreasing numbers, the last 0`;
  const floats = floatArray({ min: 2, max: maxSteps + 1 });
  return checker(allowed, (value, field) => {
    const levels = floats.check(value, field);
    for (let i = 1; i < levels.length; i++) {
      const [before, here] = [levels[i - 1] ?? NaN, levels[i] ?? NaN];
      if (!(here < before))
        throw invalidOption(`${field}[${String(i)}]`, here, `less than ${String(before)}, the one before`);
    }
    const last = levels[levels.length - 1] ?? NaN;
    if (last !== 0)
      throw invalidOption(`${field}[${String(levels.length - 1)}]`, last, '0', 'The last noise level is 0.');
    return levels;
  });
}

/** An object with its own spec; its fields are named `field.name` in errors. */
export function object<S extends Spec>(spec: S): Checker<Checked<S>, Given<S>> {
  const allowed = `an object with ${Object.keys(spec).join(', ')}`;
  return checker(allowed, (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidOption(field, value, allowed);
    return checkFields(value, spec, `${field}.`, field);
  });
}

/** An object used as a map: any keys, every value checked, named `field.key` in errors. The result is a frozen copy. */
export function recordOf<Out, In>(
  inner: Checker<Out, In>,
): Checker<Readonly<Record<string, Out>>, Readonly<Record<string, In>>> {
  const allowed = `an object whose values are each ${inner.allowed}`;
  return checker(allowed, (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidOption(field, value, allowed);
    const entries = Object.entries(value).map(([key, entry]) => [key, inner.check(entry, `${field}.${key}`)] as const);
    return Object.freeze(Object.fromEntries(entries));
  });
}

type OutOf<C> = C extends Checker<infer Out, infer _In> ? Out : never;
type InOf<C> = C extends Checker<infer _Out, infer In> ? In : never;

/**
 * The first of several forms that accepts the value. `when` decides which form a value means, so that the error is
 * about the fault inside that form; without a match the error lists all forms.
 */
export function union<const C extends readonly Checker<unknown, unknown>[]>(
  forms: C,
  when: (value: unknown) => number = () => -1,
): Checker<OutOf<C[number]>, InOf<C[number]>> {
  const allowed = forms.map((form) => form.allowed).join(', or ');
  return checker(allowed, (value, field) => {
    const meant = forms[when(value)];
    if (meant !== undefined) return meant.check(value, field) as OutOf<C[number]>;
    for (const form of forms) {
      try {
        return form.check(value, field) as OutOf<C[number]>;
      } catch (error) {
        if (!(error instanceof DiffusionError)) throw error;
      }
    }
    throw invalidOption(field, value, allowed);
  });
}
