import { readFileSync } from 'node:fs';
import { usesMusl } from './platform.js';

/** Versions of the C and C++ libraries that this process runs with; empty where they are not known. */
export interface SystemLibraries {
  /** Of glibc, e.g. `2.36`. */
  readonly glibc: string;
  /** The newest symbols of libstdc++, e.g. `3.4.30` for GLIBCXX_3.4.30. */
  readonly glibcxx: string;
}

const unknown: SystemLibraries = { glibc: '', glibcxx: '' };
let known: SystemLibraries | undefined;

/**
 * Reads both off the libraries in the memory map of this process; nothing is known of musl and beside Linux. A diagnostic
 * report (process.report) knows them too, but costs more, and on older Node looks up the names of connected hosts.
 */
export function systemLibraries(): SystemLibraries {
  known ??= process.platform === 'linux' && !usesMusl() ? mapped() : unknown;
  return known;
}

function mapped(): SystemLibraries {
  try {
    const maps = readFileSync('/proc/self/maps', 'latin1');
    const libc = / (\/\S*\/libc(?:\.so\.6|-\d[\d.]*\.so))$/m.exec(maps)?.[1];
    // The file is called after the interface: libstdc++.so.6.0.30 has symbols up to GLIBCXX_3.4.30.
    const cxx = /\/libstdc\+\+\.so\.6\.0\.(\d+)$/m.exec(maps)?.[1];
    return { glibc: libc === undefined ? '' : bannerOf(libc), glibcxx: cxx === undefined ? '' : `3.4.${cxx}` };
  } catch {
    return unknown;
  }
}

/** The version in the sentence that glibc says of itself: `GNU C Library (…) stable release version 2.36.` */
function bannerOf(file: string): string {
  const bytes = readFileSync(file);
  const at = bytes.indexOf(' release version ');
  return at < 0 ? '' : (/version (\d+\.\d+)/.exec(bytes.toString('latin1', at, at + 40))?.[1] ?? '');
}

/** What a package says in `config` of its package.json: the oldest libraries that its binaries run with. */
interface Floors {
  readonly glibc?: unknown;
  readonly glibcxx?: unknown;
}

/**
 * Why the binaries of a package cannot run on these libraries; empty when nothing speaks against it.
 * @param config of the package's package.json.
 */
export function tooOld(config: unknown, libraries: () => SystemLibraries): string {
  if (typeof config !== 'object' || config === null) return '';
  const { glibc, glibcxx } = config as Floors;
  for (const [name, needed, key] of [
    ['glibc ', glibc, 'glibc'] as const,
    ['libstdc++ GLIBCXX_', glibcxx, 'glibcxx'] as const,
  ]) {
    if (typeof needed !== 'string') continue;
    const here = libraries()[key];
    if (here !== '' && isOlder(here, needed)) return `needs ${name}${needed}, this system has ${name}${here}`;
  }
  return '';
}

function isOlder(version: string, needed: string): boolean {
  const [here, there] = [version.split('.').map(Number), needed.split('.').map(Number)];
  for (const [index, wanted] of there.entries()) {
    const difference = (here[index] ?? 0) - wanted;
    if (difference !== 0) return difference < 0;
  }
  return false;
}
