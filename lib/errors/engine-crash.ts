import { DiffusionError } from './errors.js';

/** How a process ended, and what it left. */
export interface EngineEnd {
  /** Process id; undefined when it never started. */
  readonly pid: number | undefined;
  /** Name of the signal that ended it; null when it ended by itself. */
  readonly signal: string | null;
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  /** Last lines of the engine's log and of what its process wrote, oldest first. */
  readonly log: readonly string[];
}

/** `ERR_ENGINE_CRASHED`: the process of the engine died under a job, or was ended because it hung. */
export class EngineCrashError extends DiffusionError implements EngineEnd {
  readonly pid: number | undefined;
  readonly signal: string | null;
  readonly exitCode: number | null;
  declare readonly log: readonly string[];

  /** @param how What happened, as the rest of a sentence after "The engine's process". */
  constructor(how: string, end: EngineEnd, cause?: unknown) {
    const hint = 'The next job starts a fresh one and loads its model again by itself.';
    const message = `The engine's process ${how}. This job is lost. ${hint}`;
    super('ERR_ENGINE_CRASHED', message, { hint, cause: cause ?? logCause(end.log) });
    this.pid = end.pid;
    this.signal = end.signal;
    this.exitCode = end.exitCode;
    // Not shown twice by what prints an error: the cause has it.
    Object.defineProperty(this, 'log', { value: end.log, enumerable: false });
  }
}

/** What prints an error prints its cause, and so the log. */
function logCause(log: readonly string[]): Error | undefined {
  if (log.length === 0) return undefined;
  const cause = new Error(`The last lines of the engine:\n${log.join('\n')}`);
  // It was made here, far from where anything went wrong.
  cause.stack = cause.message;
  return cause;
}
