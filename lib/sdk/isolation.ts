import type { LoadedAddon } from '../native/index.js';
import { integer, object, oneOf, union, withDefault } from '../options/index.js';
import { knownCrashes } from './probes.js';

/** Where the engine runs: `none`, in this process; `process`, in one of its own, whose death is a rejected promise. */
export type IsolationMode = 'none' | 'process';

export interface IsolationOptions {
  readonly mode: IsolationMode;
  /**
   * Milliseconds, 0 or 1000..86400000 (a day): a job that makes no progress for so long is lost and its process ended.
   * Progress is a node of a compute graph on the CPU, a whole graph on a GPU, a tensor read, a step, a tile. 0: never.
   * Default: 600000 (10 minutes).
   */
  readonly hangTimeout?: number | undefined;
}

export const isolationModes = ['none', 'process'] as const satisfies readonly IsolationMode[];

/** The longest node of a large picture on a slow CPU takes a minute or two; ten are never one node too few. */
const hangTimeout = 600_000;

export interface CheckedIsolation {
  readonly mode: IsolationMode;
  readonly hangTimeout: number;
}

const mode = oneOf(isolationModes);
const whole = object({
  mode,
  hangTimeout: withDefault(union([integer({ min: 0, max: 0 }), integer({ min: 1000, max: 86_400_000 })]), hangTimeout),
});

export const isolationSpec = withDefault(
  union([mode, whole], (value) => (typeof value === 'object' ? 1 : 0)),
  'none',
);

export function resolveIsolation(given: IsolationMode | CheckedIsolation): CheckedIsolation {
  return typeof given === 'string' ? { mode: given, hangTimeout } : given;
}

/** Loads what isolation needs only where it is asked for. */
export async function openIsolated(binary: string | undefined, isolation: CheckedIsolation): Promise<LoadedAddon> {
  const { openIsolated: open } = await import('../isolation/index.js');
  return open(binary, isolation, knownCrashes());
}
