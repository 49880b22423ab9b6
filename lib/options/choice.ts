import { invalidOption } from '../errors/index.js';
import { checker, defaulted, type Checker, type DefaultedChecker } from './checker.js';
import { didYouMean, nearest } from './suggest.js';

type Aliases<T extends string> = Readonly<Record<string, T>>;

/**
 * One of a list of names, upper and lower case alike, or an alias of one. The result is the name as in the list.
 * Callers' editors complete the names, yet any string passes the type so that aliases do.
 */
export function oneOf<const T extends string>(
  names: readonly T[],
  options: { readonly aliases?: Aliases<NoInfer<T>>; readonly default: NoInfer<T> },
): DefaultedChecker<T, T | (string & {})>;
export function oneOf<const T extends string>(
  names: readonly T[],
  options?: { readonly aliases?: Aliases<NoInfer<T>>; readonly default?: undefined },
): Checker<T, T | (string & {})>;
export function oneOf<const T extends string>(
  names: readonly T[],
  options: { readonly aliases?: Aliases<NoInfer<T>>; readonly default?: NoInfer<T> | undefined } = {},
): Checker<T, T | (string & {})> | DefaultedChecker<T, T | (string & {})> {
  const known = new Map<string, T>();
  for (const [alias, name] of Object.entries(options.aliases ?? {})) known.set(alias.toLowerCase(), name);
  for (const name of names) known.set(name.toLowerCase(), name);
  const allowed = `one of ${names.join(', ')}`;
  const inner = checker<T, T | (string & {})>(allowed, (value, field) => {
    const found = typeof value === 'string' ? known.get(value.toLowerCase()) : undefined;
    if (found !== undefined) return found;
    const near = typeof value === 'string' ? nearest(value, [...known.keys()]) : undefined;
    throw invalidOption(field, value, allowed, didYouMean(near === undefined ? undefined : known.get(near)));
  });
  return defaulted(inner, options);
}
