import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { packageRoot } from '../here.js';
import { engineEnvironment } from './start.js';

/** What came of trying a backend module. */
export interface ModuleProbe {
  /** Absolute. */
  readonly file: string;
  /** How the process ended that tried it, e.g. `SIGSEGV`; empty when it ended well, whatever the module found. */
  readonly crash: string;
}

export interface ProbeOptions {
  /** Milliseconds after which a driver counts as hanging. Default: 60000. */
  readonly limit?: number;
  /** Program of the process. Default: the compiled `probe-child.ts`. */
  readonly entry?: string;
}

const compiled = join(packageRoot, 'dist', 'isolation', 'probe-child.js');

/** Loads backend modules and asks for their devices, each in a process of its own, which may die of it. */
export async function probeModules(
  binary: string,
  modules: readonly string[],
  { limit = 60_000, entry = compiled }: ProbeOptions = {},
): Promise<ModuleProbe[]> {
  const probes: ModuleProbe[] = [];
  // One after the other: two drivers that start at once are not what is asked for.
  for (const file of modules) probes.push({ file, crash: await probe([entry, binary, file], limit) });
  return probes;
}

function probe(args: string[], limit: number): Promise<string> {
  const [, binary = ''] = args;
  const options = { cwd: dirname(binary), env: engineEnvironment(), timeout: limit, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error) => {
      if (error === null) resolve('');
      else if (error.killed === true) resolve(`no answer within ${String(limit / 1000)} s`);
      else resolve(error.signal ?? `exit code ${String(error.code)}`);
    });
  });
}
