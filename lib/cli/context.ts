import type { BenchHost } from '../bench/types.js';
import type { CliRuntime } from './runtime.js';
import type { RuntimeOptions } from '../sdk/types.js';

/** A stream that text is written to. */
export interface CliOutput {
  write(text: string): void;
  readonly isTTY: boolean;
  /** Width of the terminal; 80 when there is none. */
  readonly columns: number;
}

/** Everything a command touches outside itself, so that tests can stand in for the process. */
export interface CliContext {
  /** Results, and nothing else. */
  readonly stdout: CliOutput;
  /** Progress, warnings and errors. */
  readonly stderr: CliOutput;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** From the call on, the first interrupt aborts the signal rather than ending the process. */
  interrupt(): AbortSignal;
  createRuntime(options: RuntimeOptions): Promise<CliRuntime>;
  /** What benchmarks run on. */
  benchHost(): Promise<BenchHost>;
}

/** One JSON value as the whole of stdout. */
export function writeJson(stdout: CliOutput, value: unknown): void {
  stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
