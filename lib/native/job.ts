import type { NativeJob } from './contract.js';
import { fromNative } from './errors.js';
import { type LogSource, rememberSource } from './log-source.js';

/** Names of the operations of a thing that start native work. */
export type JobMethods<T> = {
  [K in keyof T]: T[K] extends (...args: never[]) => NativeJob<unknown> ? K : never;
}[keyof T];

export interface RunningJob<T> {
  /** Settles with the result, or rejects at once with the signal's reason when the signal aborts. */
  readonly promise: Promise<T>;
  /** Resolves when the native side has let go, which after an abort is later. Never rejects. */
  readonly settled: Promise<void>;
}

/**
 * Starts native work under a signal.
 *
 * An aborted signal rejects the promise with exactly `signal.reason` and cancels the native job; a signal that is
 * aborted already never starts the work. The listener on the signal is always removed.
 * @param late receives a result that arrives after the abort, so that what it holds can be freed.
 * @param source what log lines of the job are said to belong to.
 */
export function runJob<T>(
  start: () => NativeJob<T>,
  signal?: AbortSignal,
  late?: (value: T) => void,
  source?: LogSource,
): RunningJob<T> {
  if (signal?.aborted === true) return { promise: rejected(signal.reason), settled: Promise.resolve() };
  let job: NativeJob<T>;
  try {
    job = start();
  } catch (error) {
    return { promise: rejected(fromNative(error)), settled: Promise.resolve() };
  }
  rememberSource(job.id, source);
  let aborted = false;
  let stop: () => void = () => undefined;
  const promise = new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      aborted = true;
      reject(signal?.reason);
      job.cancel();
    };
    stop = () => signal?.removeEventListener('abort', onAbort);
    signal?.addEventListener('abort', onAbort, { once: true });
    job.promise.then(
      (value) => {
        if (aborted) late?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        reject(fromNative(error));
      },
    );
  });
  const settled = job.promise.then(stop, stop);
  return { promise, settled };
}

/** The native jobs of one piece of work: they share a signal, and its end can be waited for. */
export class JobScope {
  readonly signal: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  readonly #source: LogSource | undefined;

  constructor(signal: AbortSignal, source?: LogSource) {
    this.signal = signal;
    this.#source = source;
  }

  run<T>(start: () => NativeJob<T>, late?: (value: T) => void): Promise<T> {
    const { promise, settled } = runJob(start, this.signal, late, this.#source);
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
    return promise;
  }

  /** Throws the signal's reason when the work was aborted; to be called after every wait for something else. */
  check(): void {
    if (this.signal.aborted) throw this.signal.reason;
  }

  /** Resolves when no native job of this scope runs any more. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}

function rejected(reason: unknown): Promise<never> {
  return new Promise((_, reject) => {
    reject(reason);
  });
}
