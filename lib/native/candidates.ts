import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { type SystemLibraries, tooOld } from './libraries.js';
import { platformPackageName } from './packages.js';

export const binaryName = 'node-diffusion.node';

/** A place where the addon may lie. `problem` is set when it is known to be unusable before it is tried. */
export interface Candidate {
  readonly source: 'option "binary"' | 'NODE_DIFFUSION_BINARY' | 'local build' | 'prebuilds' | 'platform package';
  readonly path: string;
  readonly problem?: string;
}

export interface CandidateContext {
  readonly binary?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory of this package's package.json. */
  readonly root: string;
  /** {@link platformTag}. */
  readonly tag: string;
  readonly version: string;
  /** Asked for when a package says what it needs. */
  readonly libraries: () => SystemLibraries;
}

export const noFile = 'no such file';
export const notInstalled = 'not installed';
/** For a file that only the archive of an Electron application holds. */
export const inArchive = 'it lies inside an .asar archive, and native code cannot be loaded from there';

/** Every place to look for the addon, in order. What a person names is used or fails: nothing else is tried. */
export function binaryCandidates(context: CandidateContext): Candidate[] {
  const { binary, env, root, tag } = context;
  if (binary !== undefined) return [checked('option "binary"', resolve(binary))];
  const named = env.NODE_DIFFUSION_BINARY;
  if (named !== undefined && named !== '') return [checked('NODE_DIFFUSION_BINARY', resolve(named))];
  return [
    checked('local build', join(root, 'build', 'Release', binaryName)),
    checked('prebuilds', join(root, 'prebuilds', tag, binaryName)),
    platformPackage(context),
  ];
}

/** Native code cannot be loaded from inside an Electron archive; the packagers put it beside. */
export function unpacked(path: string): string {
  return path.replace(/\.asar(?=[\\/])/, '.asar.unpacked');
}

function checked(source: Candidate['source'], file: string): Candidate {
  const path = unpacked(file);
  if (existsSync(path)) return { source, path };
  return { source, path, problem: path !== file && existsSync(file) ? inArchive : noFile };
}

function platformPackage({ root, tag, version, libraries }: CandidateContext): Candidate {
  const name = platformPackageName(tag);
  const source = 'platform package';
  let manifest: string;
  try {
    manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
  } catch {
    return { source, path: name, problem: notInstalled };
  }
  const { version: found, config } = readManifest(manifest);
  const file = join(dirname(manifest), binaryName);
  if (found !== version) {
    return { source, path: unpacked(file), problem: `is version ${found}, this package is ${version}` };
  }
  const problem = tooOld(config, libraries);
  return problem === '' ? checked(source, file) : { source, path: unpacked(file), problem };
}

/** What we read of a package.json. */
export interface PackageManifest {
  /** `unknown` where it has none. */
  readonly version: string;
  readonly config: unknown;
}

export function readManifest(manifest: string): PackageManifest {
  const parsed: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  const { version, config } = typeof parsed === 'object' && parsed !== null ? (parsed as Partial<PackageManifest>) : {};
  return { version: typeof version === 'string' ? version : 'unknown', config };
}

export function packageVersion(manifest: string): string {
  return readManifest(manifest).version;
}
