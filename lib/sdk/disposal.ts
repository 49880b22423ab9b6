import { DiffusionError } from '../errors/index.js';
import { fromNative } from '../native/index.js';

export interface DisposeOptions {
  /** Abort the running job (it rejects with `ERR_ABORTED`) rather than wait for it. Default: false. */
  readonly abort?: boolean | undefined;
}

/** `ERR_DISPOSED` of a thing: `Model`, `Runtime`, `Upscaler`. */
export function disposedError(what: string, how: string): DiffusionError {
  return new DiffusionError('ERR_DISPOSED', `The ${what} was disposed. ${how}`, { hint: how });
}

export function disposeAbort(what: string): DiffusionError {
  return new DiffusionError('ERR_ABORTED', `The ${what} was disposed with { abort: true } while this job ran.`);
}

/** Waits until native weights are freed. */
export async function freed(gone: Promise<void>): Promise<void> {
  try {
    await gone;
  } catch (error) {
    throw fromNative(error);
  }
}

/** Frees a native object once its queue is closed; `done` is called whether that succeeds or not. */
export async function freeNative(
  closed: Promise<void>,
  native: { dispose(): Promise<void> },
  done: () => void,
): Promise<void> {
  await closed;
  try {
    await native.dispose();
  } catch (error) {
    throw fromNative(error);
  } finally {
    done();
  }
}
