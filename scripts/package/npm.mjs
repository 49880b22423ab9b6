import { execFileSync } from 'node:child_process';
import { root } from '../tools/paths.mjs';

/** Nothing but the packages: no scripts of theirs, no reports. */
export const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];

/** This process's variables without those of an npm that started it: they would configure the npm that we start. */
export function withoutNpm(env = process.env) {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name)));
}

/** Runs npm to its end, without scripts of packages; its standard output. */
export function npm(args, { cwd = root, env = {} } = {}) {
  // On Windows npm is a script, which only a shell starts.
  const windows = process.platform === 'win32';
  return execFileSync(windows ? 'npm.cmd' : 'npm', [...args, ...quiet], {
    cwd,
    encoding: 'utf8',
    env: { ...withoutNpm(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
    shell: windows,
  });
}
