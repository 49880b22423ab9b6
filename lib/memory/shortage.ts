import { DiffusionError } from '../errors/index.js';
import { formatBytes } from './format.js';
import { host, type MemoryLedger, type Shortage } from './ledger.js';

/** Where there is too little, as a part of a sentence. */
export function whereOf({ limit }: Pick<MemoryLedger, 'limit'>, { byLimit, device, available }: Shortage): string {
  return byLimit
    ? `memoryLimit (${formatBytes(limit ?? 0)}) leaves ${formatBytes(available)}`
    : `${device === host ? 'the system' : device} has ${formatBytes(available)} available`;
}

/** `ERR_OUT_OF_MEMORY` with the numbers of a shortage. */
export function outOfMemory(
  message: string,
  { needed, available }: Shortage,
  hint: string,
  cause?: unknown,
): DiffusionError {
  return new DiffusionError('ERR_OUT_OF_MEMORY', message, {
    given: { needed, available },
    allowed: `${String(available)} bytes`,
    hint,
    ...(cause === undefined ? {} : { cause }),
  });
}
