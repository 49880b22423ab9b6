import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { root } from './paths.mjs';

/** What the figures depend on. The id is made of the hardware, never of a host's name. */
export function describeMachine() {
  const cpu = cpus()[0]?.model.trim() ?? 'unknown';
  const cores = availableParallelism();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const hash = createHash('sha256')
    .update([cpu, cores, memoryGiB, platform(), arch()].join('\n'))
    .digest('hex')
    .slice(0, 6);
  const words = cpu
    .toLowerCase()
    .replace(/\((r|tm)\)|@.*$|\bcpu\b/g, '')
    .match(/[a-z0-9]+/g);
  const load = loadavg()[0] ?? 0;
  if (load > 0.5) {
    process.stderr.write(`The machine is busy (load ${load.toFixed(2)}): these figures are worth little.\n`);
  }
  return {
    id: [...(words ?? ['cpu']).slice(0, 3), `${cores}c`, hash].join('-'),
    cpu,
    cores,
    memoryGiB,
    os: osName(),
    kernel: `${platform()} ${release()} ${arch()}`,
    loadBefore: Math.round(load * 100) / 100,
  };
}

function osName() {
  try {
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? platform();
  } catch {
    return platform();
  }
}

/** What was measured: our commit, and the engine's and ggml's as the addon names them. */
export function commits({ engine, engineCommit, ggml, ggmlCommit }) {
  return {
    head: git('rev-parse', 'HEAD'),
    dirty: git('status', '--porcelain') !== '',
    engine,
    engineCommit,
    ggml,
    ggmlCommit,
  };
}

function git(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return 'unknown';
  }
}
