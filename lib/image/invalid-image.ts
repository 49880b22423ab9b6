import { DiffusionError, show } from '../errors/index.js';

/** `ERR_IMAGE_INVALID` that names the input, what was given, what is allowed and what to do. */
export function invalidImage(
  field: string,
  given: unknown,
  allowed: string,
  hint?: string,
  cause?: unknown,
): DiffusionError {
  const advice = hint === undefined ? '' : ` ${hint}`;
  const message = `Invalid image "${field}": got ${show(given)}, expected ${allowed}.${advice}`;
  return new DiffusionError('ERR_IMAGE_INVALID', message, {
    field,
    given,
    allowed,
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

/** First line of an error's message, for a hint. */
export function reason(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return (text.split('\n')[0] ?? '').replace(/\.$/, '');
}
