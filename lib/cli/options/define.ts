/** Whose option it is: a field of the request, of `loadModel`, of `createRuntime`, or of the program itself. */
export type Target = 'request' | 'model' | 'runtime' | 'cli';

/** Headings of the help text, in its order. */
export const groups = ['Benchmark', 'Picture', 'Refiner', 'Second pass', 'Model', 'Compute', 'Output'] as const;

export type Group = (typeof groups)[number];

/** Turns the text of an option into its value. Throws `ERR_INVALID_OPTION` naming `field`. */
export type Reader = (text: string, field: string) => unknown;

/** One option. Parsing, help texts, suggestions and `docs/cli.md` all come from these. */
export interface OptionDef {
  /** Without the dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly target: Target;
  readonly group: Group;
  /** Field that it sets; `a.b` is field `b` of the object `a`, and so on. Empty: the value is an object of several fields. */
  readonly key: string;
  /** What stands for the value in help texts; absent for switches. */
  readonly value?: string;
  readonly read?: Reader;
  /** A second value that follows the first; the option's value is then `{ value, operand }`. */
  readonly operand?: string;
  /** Of a switch: what it sets. Default: true. */
  readonly constant?: boolean;
  /** May be given several times; the values are collected in an array. */
  readonly multiple?: boolean;
  /** One sentence without the final dot; ranges and defaults after it. */
  readonly help: string;
}

type Common = Pick<OptionDef, 'target' | 'group'>;
type Extra = Partial<Pick<OptionDef, 'short' | 'multiple' | 'constant'>>;

interface Makers {
  readonly flag: (name: string, key: string, help: string, extra?: Extra) => OptionDef;
  readonly value: (name: string, key: string, value: string, read: Reader, help: string, extra?: Extra) => OptionDef;
}

/** Makers of options of one target and group. */
export function optionsOf(common: Common): Makers {
  return {
    flag: (name, key, help, extra) => ({ ...common, ...extra, name, key, help }),
    value: (name, key, value, read, help, extra) => ({ ...common, ...extra, name, key, value, read, help }),
  };
}
