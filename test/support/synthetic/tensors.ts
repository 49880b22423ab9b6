/**
 * How the values of a synthetic tensor are made: `normal` with deviation near `0.5 / sqrt(fanIn)`, so that activations
 * stay finite through any depth, or one constant.
 */
export type Values = { readonly fanIn: number } | { readonly constant: 0 | 1 };

export interface SyntheticTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Values;
  /** Where its values begin in the endless run of random ones; the same under any name and in any file. */
  readonly start?: number;
}

/** Adds the tensors of a kind. */
export type Build = (root: Tensors) => void;

/** Collects the tensors of one module tree; names are the engine's or those of the original checkpoints. */
export class Tensors {
  readonly #list: SyntheticTensor[];
  readonly #prefix: string;

  constructor(prefix = '', list: SyntheticTensor[] = []) {
    this.#prefix = prefix;
    this.#list = list;
  }

  get list(): readonly SyntheticTensor[] {
    return this.#list;
  }

  /** The same list, with names below `name`. */
  at(name: string): Tensors {
    return new Tensors(`${this.#prefix}${name}.`, this.#list);
  }

  add(name: string, shape: readonly number[], values: Values): void {
    this.#list.push({ name: this.#prefix + name, shape, values });
  }

  /** Takes tensors out again, of the whole list. */
  drop(unwanted: (name: string) => boolean): void {
    const kept = this.#list.filter(({ name }) => !unwanted(name));
    this.#list.splice(0, Infinity, ...kept);
  }

  linear(name: string, input: number, output: number, bias = true): void {
    this.add(`${name}.weight`, [output, input], { fanIn: input });
    if (bias) this.add(`${name}.bias`, [output], { constant: 0 });
  }

  conv(name: string, input: number, output: number, kernel: number): void {
    this.add(`${name}.weight`, [output, input, kernel, kernel], { fanIn: input * kernel * kernel });
    this.add(`${name}.bias`, [output], { constant: 0 });
  }

  /** Layer norm or group norm that changes nothing but the scale. */
  norm(name: string, width: number): void {
    this.add(`${name}.weight`, [width], { constant: 1 });
    this.add(`${name}.bias`, [width], { constant: 0 });
  }
}
