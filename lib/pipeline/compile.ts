import type { JobScope, NativeModel } from '../native/index.js';
import type { CompileKey, ModelEvent } from './events.js';
import { notify } from './listeners.js';
import type { Pass } from './plan.js';
import type { ModelContext } from './prompts.js';

/**
 * How a backend makes what samples: a pure function of the key. It may drop and read weights, and return another
 * object each time; it is told no mode and hands none back.
 */
export type Compile = (key: CompileKey, native: NativeModel, scope: JobScope) => Promise<NativeModel>;

/** Compiled graphs of one model, and the function that makes them. */
export class Compiler {
  readonly #compile: Compile;
  readonly #keeps: boolean;
  readonly #entries = new Map<string, NativeModel>();
  #last: CompileKey | undefined;
  #left = false;

  /** @param keeps False: nothing is kept, every pass compiles anew. */
  constructor(compile: Compile, keeps = true) {
    this.#compile = compile;
    this.#keeps = keeps;
  }

  /** The weights have left memory: what was compiled of them is of no use any more. */
  forget(): void {
    this.#entries.clear();
    this.#left = this.#last !== undefined;
  }

  /** The graph of a key, compiled when there is none. */
  async get(
    key: CompileKey,
    model: ModelContext,
    scope: JobScope,
    onModel: ((event: ModelEvent) => void) | undefined,
  ): Promise<NativeModel> {
    const text = JSON.stringify(key);
    const known = this.#entries.get(text);
    if (known !== undefined) return known;
    const left = this.#left;
    const started = performance.now();
    const compiled = await this.#compile(key, model.native, scope);
    scope.check();
    if (this.#keeps) this.#entries.set(text, compiled);
    const before = this.#last;
    this.#last = key;
    // Those that a compilation itself reads anew are what it has compiled.
    this.#left = false;
    const event: ModelEvent = {
      type: 'model',
      action: 'compile',
      model: model.facts.name,
      reason: reasonOf(before, key, left),
      before,
      after: key,
      ms: performance.now() - started,
    };
    model.log?.(event);
    notify(onModel, event);
    return compiled;
  }
}

const words = {
  weights: 'the weights',
  loras: 'the LoRAs',
  width: 'the size',
  height: 'the size',
  device: 'the device',
  precision: 'the precision',
} as const;

function reasonOf(before: CompileKey | undefined, after: CompileKey, left: boolean): string {
  if (before === undefined) return 'Nothing was compiled yet.';
  const changed = new Set(
    (Object.keys(words) as (keyof CompileKey)[]).filter((key) => before[key] !== after[key]).map((key) => words[key]),
  );
  if (changed.size > 0) return `Changed: ${[...changed].join(', ')}.`;
  return left ? 'The weights had left memory.' : 'What was compiled is not kept.';
}

/** What samples a pass. Backends without a step of compiling use the model as it is. */
export async function compiledFor(
  model: ModelContext,
  { width, height, loras }: Pass,
  scope: JobScope,
  onModel: ((event: ModelEvent) => void) | undefined,
): Promise<NativeModel> {
  const { compiler, native, weights, identity } = model;
  if (compiler === undefined) return native;
  return compiler.get({ ...identity, loras: weights.keyOf(loras), width, height }, model, scope, onModel);
}
