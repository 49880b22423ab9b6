import type { NativeKeptGraph } from '../native/index.js';

/**
 * Graphs that the backend keeps compiled of one model: those that it has told of, and those that it listed when it was
 * asked last. Between the two it may have let some go, to stay within its own bound.
 */
export class CompiledGraphs {
  /** Most recently used first. */
  #kept: readonly NativeKeptGraph[] = [];

  /** Of all. */
  get bytes(): number {
    return this.beside(new Set());
  }

  get signatures(): ReadonlySet<number> {
    return new Set(this.#kept.map(({ signature }) => signature));
  }

  /** One was compiled. */
  add({ graph, signature, bytes }: NativeKeptGraph): void {
    this.#kept = [{ graph, signature, bytes }, ...this.#kept];
  }

  /** These are kept, most recently used first, and no others. */
  set(kept: readonly NativeKeptGraph[]): void {
    this.#kept = kept;
  }

  /** Of those with these signatures, for each the one that was used last. */
  usedBy(signatures: ReadonlySet<number>): ReadonlySet<number> {
    const used = new Map<number, number>();
    for (const { graph, signature } of this.#kept)
      if (signatures.has(signature) && !used.has(signature)) used.set(signature, graph);
    return new Set(used.values());
  }

  /** Bytes that a job with these signatures does without. */
  beside(signatures: ReadonlySet<number>): number {
    const used = this.usedBy(signatures);
    return this.#kept.reduce((sum, { graph, bytes }) => sum + (used.has(graph) ? 0 : bytes), 0);
  }
}
