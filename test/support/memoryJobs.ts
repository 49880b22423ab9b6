import type { MemoryEstimate } from '../../lib/index.js';
import { describeEnd, runChild } from './child/run.js';

/** What `child/memory.mjs` tells of a job. */
export interface MemoryJob {
  readonly estimate: MemoryEstimate;
  readonly first: number;
  readonly cached: number;
  /** Bytes of the process at the job's peak, above the level right before it. */
  readonly measured: number;
  /** The same above the level of the loaded model. */
  readonly sinceLoad: number;
  /** The same above the level when the runtime was made. */
  readonly sinceStart: number;
  readonly warnings: readonly { readonly code: string }[];
  readonly hash: string;
  readonly unloads: readonly string[];
  /** `peak` of its plan, bytes. */
  readonly planned: number;
  readonly models: readonly string[];
  readonly phases: readonly string[];
  readonly refused?: string;
  readonly message?: string;
}

/**
 * Jobs in a process of their own with the compiled package: what earlier work left to the allocator would otherwise hide
 * what a job takes.
 */
export async function memoryJobs(input: {
  runtime?: object;
  load?: object;
  requests: readonly object[];
}): Promise<MemoryJob[]> {
  const end = await runChild('memory.mjs', [JSON.stringify(input)], { limit: 300 });
  if (end.code !== 0) throw new Error(describeEnd(end));
  return end.lines.flatMap((line) => ('job' in line ? [line.job as MemoryJob] : []));
}
