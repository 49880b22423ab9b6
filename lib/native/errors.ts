import { DiffusionError, type ErrorCode, errorCodes } from '../errors/index.js';

const codes: ReadonlySet<string> = new Set(errorCodes);

/**
 * Turns what the addon threw or rejected with into a {@link DiffusionError} with the same code. Anything without a
 * known code is `ERR_ENGINE`. The native error stays as the cause.
 */
export function fromNative(error: unknown): DiffusionError {
  if (error instanceof DiffusionError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  if (code === 'ERR_OUT_OF_MEMORY') {
    const hint = 'Use a smaller size, tiling, a quantised weightType, offloadToCpu or vaeOnCpu.';
    return new DiffusionError(code, `${sentence(message)} ${hint}`, { hint, cause: error });
  }
  if (code === 'ERR_DEVICE_LOST') {
    const hint = 'This job is lost; the next one reads the model again.';
    return new DiffusionError(code, `${sentence(message)} ${hint}`, { hint, cause: error });
  }
  return new DiffusionError(code, message, { cause: error });
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.has(error.code)) {
    return error.code as ErrorCode;
  }
  return 'ERR_ENGINE';
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
