import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../support/child/run.js';

export interface Packed {
  /** Absolute path of the .tgz. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'];

function npm(args: readonly string[], cwd: string): string {
  const options: ExecFileSyncOptionsWithStringEncoding = {
    cwd,
    encoding: 'utf8',
    env: withoutNpm(),
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 26,
  };
  // On Windows npm is a script, which only a shell starts.
  return process.platform === 'win32'
    ? execFileSync('npm.cmd', [...args], { ...options, shell: true })
    : execFileSync('npm', [...args], options);
}

/** The tests themselves may be started by npm, whose variables would configure the npm that is started here. */
function withoutNpm(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name)));
}

/** `npm pack` of the checkout as it is. */
export function pack(folder: string): Packed {
  const [packed] = JSON.parse(npm(['pack', '--json', ...quiet, '--pack-destination', folder], root)) as [
    Omit<Packed, 'path'> & { filename: string },
  ];
  return {
    path: join(folder, packed.filename),
    size: packed.size,
    unpackedSize: packed.unpackedSize,
    files: packed.files,
  };
}

/** Unpacks a tarball; returns the folder of its package.json. */
export function unpack(path: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', path, '-C', folder]);
  return join(folder, 'package');
}

/**
 * An empty project with the tarball installed by npm, without scripts and without the network. sharp, the one
 * dependency, is there already: npm accepts what satisfies the wish.
 */
export function install(tarball: string, folder: string): void {
  const modules = join(folder, 'node_modules');
  mkdirSync(modules, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "version": "1.0.0", "private": true }\n');
  symlinkSync(realpathSync(join(root, 'node_modules', 'sharp')), join(modules, 'sharp'), 'junction');
  // An empty cache: what was downloaded before on this machine must not help.
  npm(['install', '--offline', ...quiet, '--cache', join(folder, '.npm-cache'), tarball], folder);
}

/** The types of Node, which every TypeScript consumer has beside ours. */
export function addTypes(folder: string): void {
  for (const name of [join('@types', 'node'), 'undici-types']) {
    const from = join(root, 'node_modules', name);
    if (existsSync(from)) cpSync(from, join(folder, 'node_modules', name), { recursive: true });
  }
}
