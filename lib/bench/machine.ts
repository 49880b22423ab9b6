import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { packageRoot } from '../here.js';

/** What figures depend on. */
export interface Machine {
  /** Made of the hardware, never of a host's name: results of two machines do not compare. */
  readonly id: string;
  readonly cpu: string;
  /** Which of the processors that are called so, e.g. `family 26 model 2 stepping 1`; empty where the system does not tell. */
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly os: string;
  readonly kernel: string;
  /** Load average of the minute before the run. */
  readonly loadBefore: number;
}

/** @param cpuinfo what Linux tells of its processors, for tests. */
export function describeMachine(cpuinfo: string = readCpuinfo()): Machine {
  const processor = processorOf(cpuinfo);
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  const cores = availableParallelism();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const hash = createHash('sha256')
    .update([cpu, processor, cores, memoryGiB, platform(), arch()].join('\n'))
    .digest('hex')
    .slice(0, 6);
  const words = cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|@.*$|\bcpu\b/g, '')
    .match(/[a-z0-9]+/g);
  return {
    id: [...(words ?? ['cpu']).slice(0, 3), `${String(cores)}c`, hash].join('-'),
    cpu,
    processor,
    cores,
    memoryGiB,
    os: osName(),
    kernel: `${platform()} ${release()} ${arch()}`,
    loadBefore: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  };
}

function readCpuinfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** A virtual machine calls many processors by one name ("AMD EPYC"); their numbers tell them apart. */
function processorOf(cpuinfo: string): string {
  const [first = ''] = cpuinfo.trim().split(/\n\s*\n/);
  const told = [
    'cpu family',
    'model',
    'stepping',
    'CPU implementer',
    'CPU variant',
    'CPU part',
    'CPU revision',
  ].flatMap((name) => {
    const value = new RegExp(`^${name}\\s*: *(\\S+)$`, 'm').exec(first)?.[1];
    return value === undefined ? [] : [`${name.replace(/^cpu /i, '')} ${value}`];
  });
  // Windows: "AMD64 Family 25 Model 33 Stepping 2, AuthenticAMD".
  return told.length > 0 ? told.join(' ') : (process.env.PROCESSOR_IDENTIFIER ?? '');
}

/** A word about a machine that works on something else; empty: it is quiet. */
export function busyWarning({ loadBefore }: Machine): string {
  return loadBefore > 0.5 ? `The machine is busy (load ${loadBefore.toFixed(2)}): these figures are worth little.` : '';
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? platform();
  } catch {
    return platform();
  }
}

export interface EngineVersions {
  readonly engine: string;
  readonly engineCommit: string;
  readonly ggml: string;
  readonly ggmlCommit: string;
}

/** What was measured: the engine and ggml as the addon names them, and in a checkout our own commit. */
export interface Commits extends EngineVersions {
  /** Our commit; null in an installed package. */
  readonly head: string | null;
  /** The checkout has changes that are not committed. */
  readonly dirty: boolean;
}

/** @param root the package's folder, for tests. One inside somebody else's repository has no commit of ours. */
export function commits(versions: EngineVersions, root: string = packageRoot): Commits {
  const { engine, engineCommit, ggml, ggmlCommit } = versions;
  const top = git(root, 'rev-parse', '--show-toplevel');
  const own = top !== null && realpathSync(top) === realpathSync(root);
  return {
    head: own ? git(root, 'rev-parse', 'HEAD') : null,
    dirty: own && git(root, 'status', '--porcelain') !== '',
    ...{ engine, engineCommit, ggml, ggmlCommit },
  };
}

function git(root: string, ...args: string[]): string | null {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}
