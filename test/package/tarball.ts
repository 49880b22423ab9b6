import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from '../../scripts/package/npm.mjs';
import { root } from '../support/child/run.js';

export interface Packed {
  readonly name: string;
  readonly version: string;
  /** Absolute path of the .tgz. */
  readonly path: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[];
}

/** The platform package of this machine. */
export const coreName = `@node-diffusion/${process.platform}-${process.arch}`;

/** `npm run pack:all`: the tarballs of the checkout as it is; they are kept, and made once for all test files. */
export function packAll(names: readonly string[] = []): readonly Packed[] {
  const script = join(root, 'scripts', 'pack-all.mjs');
  const out = execFileSync(process.execPath, [script, '--json', ...names], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(out.trim().split('\n').at(-1) ?? '') as Packed[];
}

/** One of the tarballs. */
export function packed(name: string): Packed {
  const found = packAll([name])[0];
  if (found === undefined) throw new Error(`${name} was not packed.`);
  return found;
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
  npm(['install', '--offline', '--cache', join(folder, '.npm-cache'), tarball], { cwd: folder });
}

/** The types of Node, which every TypeScript consumer has beside ours. */
export function addTypes(folder: string): void {
  for (const name of [join('@types', 'node'), 'undici-types']) {
    const from = join(root, 'node_modules', name);
    if (existsSync(from)) cpSync(from, join(folder, 'node_modules', name), { recursive: true });
  }
}
