import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../support/child/run.js';

const exec = promisify(execFile);

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
export async function packAll(names: readonly string[] = []): Promise<readonly Packed[]> {
  const script = join(root, 'scripts', 'pack-all.mjs');
  const { stdout } = await exec(process.execPath, [script, '--json', ...names], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Packed[];
}

/** One of the tarballs. */
export async function packed(name: string): Promise<Packed> {
  const [found] = await packAll([name]);
  if (found === undefined) throw new Error(`${name} was not packed.`);
  return found;
}

/** Unpacks a tarball; returns the folder of its package.json. */
export function unpack(path: string, folder: string): string {
  mkdirSync(folder, { recursive: true });
  execFileSync('tar', ['-xzf', path, '-C', folder]);
  return join(folder, 'package');
}

/** The types of Node, which every TypeScript consumer has beside ours. */
export function addTypes(folder: string): void {
  for (const name of [join('@types', 'node'), 'undici-types']) {
    const from = join(root, 'node_modules', name);
    if (existsSync(from)) cpSync(from, join(folder, 'node_modules', name), { recursive: true });
  }
}
