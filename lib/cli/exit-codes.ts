import { DiffusionError, type ErrorCode } from '../errors/index.js';

export interface ExitCode {
  readonly code: number;
  readonly meaning: string;
  /** Codes of errors that end the program with it. */
  readonly errors: readonly ErrorCode[];
}

/** What scripts can rely on; `docs/cli.md` shows this table. */
export const exitCodes: readonly ExitCode[] = [
  { code: 0, meaning: 'Done.', errors: [] },
  {
    code: 1,
    meaning: 'Unexpected error. `doctor`: the native addon cannot be loaded.',
    errors: ['ERR_ENGINE', 'ERR_ENGINE_CRASHED', 'ERR_DISPOSED', 'ERR_MODEL_NOT_LOADED'],
  },
  {
    code: 2,
    meaning: 'Wrong use: unknown command or option, invalid value, output that cannot be written.',
    errors: ['ERR_INVALID_OPTION', 'ERR_INVALID_PROMPT'],
  },
  {
    code: 3,
    meaning: 'A model or an input picture was not found (a missing picture is `ERR_IMAGE_INVALID`).',
    errors: ['ERR_MODEL_NOT_FOUND'],
  },
  {
    code: 4,
    meaning: 'A model or an input picture is damaged or not supported.',
    errors: [
      'ERR_IMAGE_INVALID',
      'ERR_LORA_INCOMPATIBLE',
      'ERR_MODEL_CHANGED',
      'ERR_MODEL_CORRUPT',
      'ERR_MODEL_UNSUPPORTED',
    ],
  },
  { code: 5, meaning: 'Out of memory.', errors: ['ERR_OUT_OF_MEMORY'] },
  {
    code: 6,
    meaning: 'The native addon, the backend or the device is not available.',
    errors: ['ERR_BACKEND_UNAVAILABLE', 'ERR_DEVICE_LOST'],
  },
  {
    code: 130,
    meaning: 'Interrupted (Ctrl+C). A second Ctrl+C ends the process at once, by the signal.',
    errors: ['ERR_ABORTED'],
  },
];

const byError = new Map(exitCodes.flatMap(({ code, errors }) => errors.map((error) => [error, code] as const)));

/** Exit code of an error that nothing else caught. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof DiffusionError)) return 1;
  if (error.code === 'ERR_IMAGE_INVALID' && isMissingFile(error.cause)) return 3;
  return byError.get(error.code) ?? 1;
}

function isMissingFile(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}
