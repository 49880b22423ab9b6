/**
 * What an option may be. `check` returns the value as the rest of the code wants it (parsed, copied, defaulted) or
 * throws a `DiffusionError` that names `field`. `In` is what callers may write, `Out` what checked code gets.
 */
export interface Checker<Out, In = Out> {
  readonly presence: 'required';
  /** What is allowed, in words that fit after "expected". */
  readonly allowed: string;
  readonly check: (value: unknown, field: string) => Out;
  /** Never set; carries the input type for {@link Given}. */
  readonly given?: In;
}

/** May be left out; the key is then absent from the result. */
export interface OptionalChecker<Out, In = Out> extends Omit<Checker<Out, In>, 'presence'> {
  readonly presence: 'optional';
}

/** May be left out; the result then has `fallback`. */
export interface DefaultedChecker<Out, In = Out> extends Omit<Checker<Out, In>, 'presence'> {
  readonly presence: 'defaulted';
  readonly fallback: Out;
}

export type AnyChecker = Checker<unknown> | OptionalChecker<unknown> | DefaultedChecker<unknown>;

/** Option names with what each may be. */
export type Spec = Readonly<Record<string, AnyChecker>>;

type OutOf<C> = C extends { readonly check: (value: unknown, field: string) => infer Out } ? Out : never;
type InOf<C> = C extends { readonly given?: infer In } ? Exclude<In, undefined> : never;
type KeysWith<S extends Spec, P> = { [K in keyof S]: S[K]['presence'] extends P ? K : never }[keyof S];
type Flat<T> = { [K in keyof T]: T[K] };

/** Result of `checkOptions` for a spec: defaults filled in, optional keys absent rather than undefined. */
export type Checked<S extends Spec> = Flat<
  { readonly [K in KeysWith<S, 'required' | 'defaulted'>]: OutOf<S[K]> } & {
    readonly [K in KeysWith<S, 'optional'>]?: OutOf<S[K]>;
  }
>;

/** What callers may pass for a spec. `undefined` counts as left out. */
export type Given<S extends Spec> = Flat<
  { readonly [K in KeysWith<S, 'required'>]: InOf<S[K]> } & {
    readonly [K in KeysWith<S, 'optional' | 'defaulted'>]?: InOf<S[K]> | undefined;
  }
>;

/** Makes a checker from a function. `check` throws a `DiffusionError` for what is not allowed. */
export function checker<Out, In = Out>(
  allowed: string,
  check: (value: unknown, field: string) => Out,
): Checker<Out, In> {
  return Object.freeze({ presence: 'required' as const, allowed, check });
}

/** The option may be left out. */
export function optional<Out, In>(inner: Checker<Out, In>): OptionalChecker<Out, In> {
  return Object.freeze({ presence: 'optional' as const, allowed: inner.allowed, check: inner.check });
}

/** The option may be left out and is then `fallback`, which is not checked. */
export function withDefault<Out, In>(inner: Checker<Out, In>, fallback: Out): DefaultedChecker<Out, In> {
  return Object.freeze({ presence: 'defaulted' as const, allowed: inner.allowed, check: inner.check, fallback });
}

/** The option may be null. */
export function nullable<Out, In>(inner: Checker<Out, In>): Checker<Out | null, In | null> {
  return checker(`${inner.allowed}, or null`, (value, field) => (value === null ? null : inner.check(value, field)));
}

/** Applies `default` of an options object, as the shorthand of {@link withDefault}. */
export function defaulted<Out, In>(
  inner: Checker<Out, In>,
  options: { readonly default?: Out | undefined },
): Checker<Out, In> | DefaultedChecker<Out, In> {
  return options.default === undefined ? inner : withDefault(inner, options.default);
}
