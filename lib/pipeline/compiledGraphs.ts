import type { NativeGraphToCompile, NativeKeptGraph } from '../native/index.js';

/** With the weights of the model as they are constants, and with such that change. */
const variants = 2;

/**
 * Graphs that the backend keeps compiled of one model: those that it has told of, and those that it listed when it was
 * asked last. Between the two it may have let some go, to stay within its own bound.
 */
export class CompiledGraphs {
  /** Most recently used first. */
  #kept: readonly NativeKeptGraph[] = [];
  /** That jobs were measured with. */
  readonly #measured = new Set<number>();

  /** Of all. */
  get bytes(): number {
    return this.#kept.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get signatures(): ReadonlySet<number> {
    return new Set(this.#kept.map(({ signature }) => signature));
  }

  /** A job was measured that asks for these. */
  measured(graphs: readonly NativeGraphToCompile[]): void {
    for (const { signature } of graphs) this.#measured.add(signature);
  }

  /** One was compiled. */
  add({ graph, signature, bytes }: NativeKeptGraph): void {
    this.#kept = [{ graph, signature, bytes }, ...this.#kept];
  }

  /** These are kept, most recently used first, and no others. */
  set(kept: readonly NativeKeptGraph[]): void {
    this.#kept = kept;
  }

  /**
   * Graphs that a job which asks for these signatures may use: of each the last two, and all that no measurement has
   * foreseen, as those of LoRAs at run time. What was read ahead and not asked for is none of them.
   */
  usedBy(signatures: ReadonlySet<number>): ReadonlySet<number> {
    const counts = new Map<number, number>();
    const used = this.#kept.filter(({ graph, signature }) => {
      if (!this.#measured.has(signature)) return graph !== 0;
      const count = (counts.get(signature) ?? 0) + 1;
      counts.set(signature, count);
      return signatures.has(signature) && count <= variants;
    });
    return new Set(used.map(({ graph }) => graph));
  }

  /** Bytes that such a job does without. */
  beside(signatures: ReadonlySet<number>): number {
    const used = this.usedBy(signatures);
    return this.#kept.reduce((sum, { graph, bytes }) => sum + (used.has(graph) ? 0 : bytes), 0);
  }
}
