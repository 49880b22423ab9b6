let made = 0;

/**
 * The right to work with the weights of one model, which one job has at a time; first come, first served. A job of the
 * model's queue has it, and so has a pass of another model's job that works with this one. JavaScript thread only.
 */
export class Turn {
  /** Who needs several takes them in this order, see {@link takeTurns}. */
  readonly order = ++made;
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** True when nobody has it or waits for it. */
  get free(): boolean {
    return !this.#taken;
  }

  /** Takes it when it is free; the result gives it back, and may be called again. */
  tryTake(): (() => void) | undefined {
    if (this.#taken) return undefined;
    this.#taken = true;
    return this.#release();
  }

  /**
   * Takes it when those who came before have given it back.
   * @throws the signal's reason.
   */
  take(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const now = this.tryTake();
    if (now !== undefined) return Promise.resolve(now);
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(this.#release());
      };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(grant), 1);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(grant);
    });
  }

  #release(): () => void {
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      const next = this.#waiting.shift();
      // It goes from hand to hand: who comes now finds it taken.
      if (next === undefined) this.#taken = false;
      else next();
    };
  }
}

/**
 * Takes the turns of several models, each when it comes. Everybody takes them in one order and has none while taking
 * the first, so nobody waits in a circle, whatever models jobs share.
 * @param taken gets each turn as it is taken, with what gives it back: also those before an abort.
 * @throws the signal's reason.
 */
export async function takeTurns<T extends { readonly queue: { readonly turn: Turn } }>(
  owners: Iterable<T>,
  signal: AbortSignal,
  taken: Map<T, () => void>,
): Promise<void> {
  const ordered = [...owners].sort((a, b) => a.queue.turn.order - b.queue.turn.order);
  for (const owner of ordered) taken.set(owner, await owner.queue.turn.take(signal));
}
