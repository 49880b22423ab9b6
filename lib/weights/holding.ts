import type { NativeJob, NativeWeightsMemory } from '../native/index.js';
import { keptBytes, type LoraNeed, type LoraRoom } from './room.js';

type Run = <T>(start: () => NativeJob<T>) => Promise<T>;

/** What the LoRAs of one model hold beside its weights, as the room of the runtime counts it. */
export class LoraHolding {
  readonly #room: LoraRoom | undefined;
  readonly #memory: () => NativeJob<NativeWeightsMemory>;
  #leave: (() => void) | undefined;
  /** Times that the weights left memory, and with them all that is held. */
  #readings = 0;

  constructor(room: LoraRoom | undefined, memory: () => NativeJob<NativeWeightsMemory>) {
    this.#room = room;
    this.#memory = memory;
  }

  /** Another number, other weights: what was known of them is void. */
  get readings(): number {
    return this.#readings;
  }

  /** The weights have left memory. */
  left(): void {
    this.#readings++;
    this.#leave?.();
    this.#leave = undefined;
  }

  /**
   * Memory for a change. Where there is none, the change is refused, but for one that only puts originals back.
   * @returns ends it; `null`: there is no room to keep anything.
   * @throws DiffusionError `ERR_OUT_OF_MEMORY`.
   */
  async take(need: LoraNeed, restores: boolean): Promise<(() => void) | null> {
    if (this.#room === undefined || (need.host === 0 && need.beside.size === 0)) return () => undefined;
    try {
      return await this.#room.take(need);
    } catch (error) {
      if (!restores) throw error;
      return null;
    }
  }

  /**
   * Counts what is there now.
   * @param readings those of the weights that are meant; when they have left, nothing is asked, which would read them again.
   */
  async count(run: Run, readings = this.#readings): Promise<void> {
    if (this.#room === undefined || readings !== this.#readings) return;
    const kept = keptBytes(await run(this.#memory));
    if (readings !== this.#readings) return;
    // The new count before the old one ends, so that nobody who waits is given bytes that are taken.
    const before = this.#leave;
    this.#leave = kept > 0 ? this.#room.keep(kept) : undefined;
    before?.();
  }
}
