import type { EngineLog } from './engine-log.js';

const faults: Readonly<Record<string, string>> = {
  SIGSEGV: 'a memory fault',
  SIGBUS: 'a memory fault',
  SIGFPE: 'an arithmetic fault',
  SIGILL: 'an illegal instruction',
  SIGTRAP: 'a trap',
};

/**
 * How a process ended, as the rest of a sentence.
 * @param verdict why we ended it ourselves, undefined when we did not.
 */
export function describeEnd(
  signal: string | null,
  exitCode: number | null,
  verdict: string | undefined,
  log: EngineLog,
): string {
  if (verdict !== undefined) return `${verdict} and was ended`;
  const { reason } = log;
  const because = reason === undefined ? '' : `: ${reason.replace(/\.$/, '')}`;
  if (signal === 'SIGKILL') return 'was killed (SIGKILL), as a system does that runs out of memory';
  if (signal === 'SIGABRT') return `aborted (SIGABRT)${because}`;
  if (signal !== null) return `was ended by ${faults[signal] ?? 'a signal'} (${signal})`;
  return `ended by itself (exit code ${String(exitCode)})${because}`;
}
