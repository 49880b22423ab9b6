import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../support/child/run.js';

/** The addon that children load: the one that is named, or the local build. */
export const binary = process.env.NODE_DIFFUSION_BINARY ?? join(root, 'build', 'Release', 'node-diffusion.node');
export const binaryFolder = dirname(binary);

/** Our libraries that every installation has: the addon, ggml's two libraries, the CPU variants. GPU modules may need more. */
export function coreLibraries(): string[] {
  const names = readdirSync(binaryFolder).filter((name) =>
    /\.node$|^libnode-diffusion-.*\.so|^libggml-cpu.*\.so/.test(name),
  );
  if (!existsSync(binary) || names.length === 0)
    throw new Error(`${binary} is not there: run \`npm run build\` first.`);
  return names.sort();
}

export function read(tool: string, args: readonly string[]): string {
  return execFileSync(tool, args, { encoding: 'utf8', maxBuffer: 1 << 26, env: { ...process.env, LC_ALL: 'C' } });
}

export interface DynamicSection {
  readonly needed: readonly string[];
  readonly runpath: readonly string[];
  readonly rpath: readonly string[];
  readonly soname: readonly string[];
}

/** `readelf -d`. */
export function dynamicSection(file: string): DynamicSection {
  const text = read('readelf', ['-dW', file]);
  const all = (tag: string): string[] =>
    [...text.matchAll(new RegExp(`\\(${tag}\\)[^\\[]*\\[([^\\]]*)\\]`, 'g'))].map((match) => match[1] ?? '');
  return { needed: all('NEEDED'), runpath: all('RUNPATH'), rpath: all('RPATH'), soname: all('SONAME') };
}

/** The highest version of a symbol family (`GLIBC`, `GLIBCXX`) that a file asks for, e.g. `2.34`; `0` when none. */
export function ceiling(file: string, family: string): string {
  const text = read('readelf', ['-VW', file]);
  const versions = [...text.matchAll(new RegExp(`Name: ${family}_([0-9.]+)`, 'g'))].map((match) => match[1] ?? '0');
  return versions.reduce((highest, version) => (compareVersions(version, highest) > 0 ? version : highest), '0');
}

export function compareVersions(left: string, right: string): number {
  const [a, b] = [left.split('.').map(Number), right.split('.').map(Number)];
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
