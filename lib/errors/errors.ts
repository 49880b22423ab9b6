/** Stable codes of every error this package throws. The table with what each means is `docs/errors.md`. */
export const errorCodes = [
  'ERR_ABORTED',
  'ERR_BACKEND_UNAVAILABLE',
  'ERR_DEVICE_LOST',
  'ERR_DISPOSED',
  'ERR_ENGINE',
  'ERR_ENGINE_CRASHED',
  'ERR_IMAGE_INVALID',
  'ERR_INVALID_OPTION',
  'ERR_INVALID_PROMPT',
  'ERR_LORA_INCOMPATIBLE',
  'ERR_MODEL_CHANGED',
  'ERR_MODEL_CORRUPT',
  'ERR_MODEL_NOT_FOUND',
  'ERR_MODEL_NOT_LOADED',
  'ERR_MODEL_UNSUPPORTED',
  'ERR_OUT_OF_MEMORY',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What an error is about, for programs; the message says the same for people. */
export interface ErrorDetails {
  /** Path of the option at fault, e.g. `hires.steps`. */
  readonly field?: string;
  /** What was given. */
  readonly given?: unknown;
  /** What is allowed, in words. */
  readonly allowed?: string;
  /** What to do about it, one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Marks our errors: the ESM and the CommonJS door are two copies of this class in one process. */
const brand = Symbol.for('node-diffusion.error');

/**
 * Base class of every error this package throws. Compare `code`, never the message. `instanceof DiffusionError` holds
 * whichever door (`import` or `require`) the error came through.
 */
export class DiffusionError extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== DiffusionError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === 'object' && value !== null && brand in value;
  }

  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly given: unknown;
  readonly allowed: string | undefined;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.field = details.field;
    this.given = details.given;
    this.allowed = details.allowed;
    this.hint = details.hint;
  }
}
Object.defineProperty(DiffusionError.prototype, brand, { value: true });
Object.defineProperty(DiffusionError.prototype, 'name', {
  value: 'DiffusionError',
  configurable: true,
  writable: true,
});

/** Shows a value in a message: short, on one line, never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 77)}…` : value);
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined)
    return String(value);
  if (typeof value === 'bigint') return `${String(value)}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return `an array of ${String(value.length)}`;
  return `an object (${Object.prototype.toString.call(value).slice(8, -1)})`;
}

/** `ERR_INVALID_OPTION` that names the field, what was given, what is allowed and what to do. */
export function invalidOption(field: string, given: unknown, allowed: string, hint?: string): DiffusionError {
  const message = `Invalid option "${field}": got ${show(given)}, expected ${allowed}.${hint === undefined ? '' : ` ${hint}`}`;
  return new DiffusionError('ERR_INVALID_OPTION', message, {
    field,
    given,
    allowed,
    ...(hint === undefined ? {} : { hint }),
  });
}
