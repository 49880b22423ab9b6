import { inspect } from 'node:util';
import { DiffusionError, errorCodes } from '../../../lib/index.js';

/** Reason of every aborted signal that the tests hand out. */
export const reason = new Error('aborted by the test');

/**
 * Success, a DiffusionError of a known code, or the signal's reason; anything else fails the test. `ERR_ENGINE` means
 * that the engine was the first to notice, which is a fault of the checks.
 */
export async function settles(what: string, work: () => unknown): Promise<'ok' | string> {
  try {
    await work();
    return 'ok';
  } catch (error) {
    if (error === reason) return 'aborted';
    if (error instanceof DiffusionError && errorCodes.includes(error.code) && error.code !== 'ERR_ENGINE') {
      if (error.message.length < 15)
        throw new Error(`${what}: the message "${error.message}" says nothing`, { cause: error });
      return error.code;
    }
    throw new Error(`${what} failed with ${inspect(error)}`, { cause: error });
  }
}

/** Reads a stream to its end. */
export async function drain(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _event of stream) {
    // Only its end counts.
  }
}

/**
 * Sizes that are valid and would take the machine's memory are made small; the rest stays as it came. What is refused
 * for a size is refused as before.
 */
export function affordable(given: unknown, edge: number, steps: number): unknown {
  if (typeof given !== 'object' || given === null || Object.getPrototypeOf(given) !== Object.prototype) return given;
  const request = { ...(given as Record<string, unknown>) };
  const cap = (key: string, most: number): void => {
    const value = request[key];
    if (
      typeof value === 'number' &&
      Number.isInteger(value) &&
      value > most &&
      value <= 8192 &&
      (most < 64 || value % 64 === 0)
    )
      request[key] = most;
  };
  cap('width', edge);
  cap('height', edge);
  cap('batchSize', 2);
  cap('steps', steps);
  if (typeof request['scale'] === 'number' && request['scale'] > 2 && request['scale'] <= 64) request['scale'] = 2;
  if (typeof request['hires'] === 'object') request['hires'] = affordable(request['hires'], 2 * edge, steps);
  return request;
}
