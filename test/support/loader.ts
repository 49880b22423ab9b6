import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { loadAddon, type LoadAddonOptions, LoadError } from '../../lib/native/load.js';
import { FakeAddon } from './fakeAddon.js';

export const name = 'node-diffusion.node';
export const tag = 'linux-x64';

/** A package directory with the given files in it. */
export function packageWith(...files: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'node-diffusion-loader-'));
  writeFileSync(join(root, 'package.json'), JSON.stringify({ name: 'node-diffusion', version: '1.2.3' }));
  for (const file of files) place(root, file);
  return root;
}

export function place(root: string, file: string, text = ''): string {
  const path = join(root, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** An installed platform package; `config` is that of its package.json. */
export function platformPackage(root: string, version: string, config?: Readonly<Record<string, string>>): string {
  const manifest = JSON.stringify({ name: `@node-diffusion/${tag}`, version, config });
  place(root, `node_modules/@node-diffusion/${tag}/package.json`, manifest);
  return place(root, `node_modules/@node-diffusion/${tag}/${name}`);
}

export function load(
  options: LoadAddonOptions,
  broken: Readonly<Record<string, string>> = {},
): { path: string; attempts: readonly { problem: string }[] } {
  const { addon } = new FakeAddon();
  return loadAddon({
    tag,
    env: {},
    require: (path) => {
      const problem = broken[path];
      if (problem !== undefined) throw new Error(problem);
      return addon;
    },
    ...options,
  });
}

export function failure(options: LoadAddonOptions, broken: Readonly<Record<string, string>> = {}): LoadError {
  try {
    load(options, broken);
  } catch (error) {
    if (error instanceof LoadError) return error;
    throw error;
  }
  throw new Error('It loaded');
}
