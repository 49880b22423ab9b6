import { execFile, type ExecFileException } from 'node:child_process';
import { dirname, join } from 'node:path';
import { packageRoot } from '../here.js';
import { librariesLine, usableLine } from './probeLines.js';
import { engineEnvironment } from './start.js';

/** What came of trying a backend module. */
export interface ModuleProbe {
  /** Absolute. */
  readonly file: string;
  /** How the process ended that tried it, e.g. `SIGSEGV`; empty when the module runs, whatever it found. */
  readonly crash: string;
  /** How it ended when it was asked for the library behind the module; empty when that ended well. */
  readonly libraryCrash: string;
  /** What that library tells, as `describeBackend('openvino')`; empty without. */
  readonly openvino: string;
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
  for (const file of modules) probes.push({ file, ...(await probe([entry, binary, file], limit)) });
  return probes;
}

function probe(args: string[], limit: number): Promise<Omit<ModuleProbe, 'file'>> {
  const [, binary = ''] = args;
  const options = { cwd: dirname(binary), env: engineEnvironment(), timeout: limit, killSignal: 'SIGKILL' } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, args, options, (error, stdout) => {
      const lines = stdout.split('\n');
      const end = error === null ? '' : endOf(error, limit);
      const usable = lines.includes(usableLine);
      resolve({ crash: usable ? '' : end, libraryCrash: usable ? end : '', openvino: end === '' ? told(lines) : '' });
    });
  });
}

function endOf({ killed, signal, code }: ExecFileException, limit: number): string {
  return killed === true ? `no answer within ${String(limit / 1000)} s` : (signal ?? `exit code ${String(code)}`);
}

function told(lines: readonly string[]): string {
  const text = lines.findLast((line) => line.startsWith(librariesLine))?.slice(librariesLine.length);
  return text === undefined ? '' : (JSON.parse(text) as Pick<ModuleProbe, 'openvino'>).openvino;
}
