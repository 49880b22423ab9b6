import type { NativeLoadOptions } from '../native/index.js';
import type { LoraMode } from '../weights/index.js';
import type { Assembled } from './assemble.js';
import type { Abandoned } from './tenant.js';

/**
 * Which weights, made how: the same key, the same model. Of its files with their stamps, and of everything that the
 * engine or a LoRA sees of the settings.
 */
export function modelKey(request: NativeLoadOptions, stamps: ReadonlyMap<string, string>, loras: LoraMode): string {
  const { files, memoryBudget: _budget, ...settings } = request;
  return JSON.stringify([Object.entries(files).sort(), [...stamps].sort(), loras, settings]);
}

interface Shared {
  readonly key: string;
  readonly model: Assembled;
  /** Somebody has loaded it by a call. */
  owned: boolean;
}

/**
 * All models of a runtime, whoever brought them: those that people have loaded, and those of hires checkpoints and
 * refiners. A job that names a file finds the model of that file here, so its weights are in memory once. Owner: the
 * runtime.
 */
export class SharedModels {
  readonly #all = new Set<Shared>();
  /** Weights that jobs of other models hold when their owner has gone. */
  readonly #leaving = new Set<Promise<void>>();

  /**
   * The model of a key; of several one that is in memory and that nobody works with.
   * @param present only one that is in memory or stays there.
   */
  find(key: string, present = false): Assembled | undefined {
    const rank = ({ model: { pipeline } }: Shared): number =>
      (pipeline.presence.loaded ? 2 : 0) + (pipeline.queue.turn.free ? 1 : 0);
    const found = [...this.#all]
      .filter((shared) => shared.key === key && (!present || shared.owned || shared.model.pipeline.presence.loaded))
      .sort((a, b) => rank(b) - rank(a));
    return found[0]?.model;
  }

  /** @param owned somebody has loaded it by a call. */
  add(key: string, model: Assembled, owned: boolean): void {
    this.#all.add({ key, model, owned });
  }

  /** A model that jobs have opened and nobody has loaded yet becomes somebody's. It stays in memory from now on. */
  adopt(key: string, embedded: boolean): Assembled | undefined {
    const isFree = (shared: Shared): boolean =>
      shared.key === key && !shared.owned && shared.model.pipeline.facts.embedded === embedded;
    const found = [...this.#all].find(isFree);
    if (found === undefined) return undefined;
    found.owned = true;
    found.model.pipeline.presence.own();
    return found.model;
  }

  /** Takes {@link adopt} back. */
  giveBack(model: Assembled): void {
    for (const shared of this.#all) if (shared.model === model) shared.owned = false;
    model.pipeline.presence.disown();
  }

  /** Its owner has gone. Jobs of other models that work with it end with it. */
  abandon(model: Assembled): Abandoned {
    for (const shared of this.#all) if (shared.model === model) this.#all.delete(shared);
    const { inUse, gone } = model.pipeline.presence.abandon();
    const leaving = gone.catch(() => undefined).then(() => void this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    return { inUse, gone };
  }

  /** Frees the weights that nobody has loaded and no job needs now; returns their bytes. */
  async release(): Promise<number> {
    let bytes = 0;
    for (const { model } of this.#all) {
      const { presence } = model.pipeline;
      if (!presence.loaded || presence.held) continue;
      bytes += presence.bytes;
      await presence.drop();
    }
    return bytes;
  }

  /** Frees all. Those that people have loaded are disposed of before. */
  async dispose(closed: () => Error): Promise<void> {
    const all = [...this.#all];
    this.#all.clear();
    for (const { model } of all) {
      const { pipeline, resident } = model;
      await pipeline.queue.close(closed);
      pipeline.cache.clear();
      pipeline.presence.remove();
      await resident.dispose();
    }
    await Promise.all(this.#leaving);
  }
}
