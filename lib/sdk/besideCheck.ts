import { linkAbort } from './linkedAbort.js';

/**
 * Runs `work` beside a check that decides whether its result counts. A failed check aborts the work and is what the
 * caller hears of, also where the work fails of the same thing: the check has the better message.
 * @param discard receives a result that the check refuses.
 */
export async function besideCheck<T>(
  check: (signal: AbortSignal) => Promise<void>,
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
  discard: (result: T) => void,
): Promise<T> {
  signal.throwIfAborted();
  const { controller, unlink } = linkAbort([signal]);
  const checked = check(controller.signal).catch((error: unknown) => {
    controller.abort(error);
    throw error;
  });
  try {
    const [outcome, verdict] = await Promise.allSettled([work(controller.signal), checked]);
    if (verdict.status === 'rejected') {
      if (outcome.status === 'fulfilled') discard(outcome.value);
      throw verdict.reason;
    }
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  } finally {
    unlink();
  }
}
