import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';

export const binaryName = 'node-diffusion.node';

/** A place where the addon may lie. `problem` is set when it is known to be unusable before it is tried. */
export interface Candidate {
  readonly source: 'option "binary"' | 'NODE_DIFFUSION_BINARY' | 'local build' | 'prebuilds' | 'platform package';
  readonly path: string;
  readonly problem?: string;
  /** The file that keeps the search from going on: what a person names is used or fails, nothing else is tried. */
  readonly only?: boolean;
}

export interface CandidateContext {
  readonly binary?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory of this package's package.json. */
  readonly root: string;
  /** {@link platformTag}. */
  readonly tag: string;
  readonly version: string;
}

/** Every place to look for the addon, in order. */
export function binaryCandidates(context: CandidateContext): Candidate[] {
  const { binary, env, root, tag } = context;
  if (binary !== undefined)
    return [checked({ source: 'option "binary"', path: unpacked(resolve(binary)), only: true })];
  const named = env.NODE_DIFFUSION_BINARY;
  if (named !== undefined && named !== '') {
    return [checked({ source: 'NODE_DIFFUSION_BINARY', path: unpacked(resolve(named)), only: true })];
  }
  return [
    checked({ source: 'local build', path: unpacked(join(root, 'build', 'Release', binaryName)) }),
    checked({ source: 'prebuilds', path: unpacked(join(root, 'prebuilds', tag, binaryName)) }),
    platformPackage(context),
  ];
}

export function platformPackageName(tag: string): string {
  return `@node-diffusion/${tag}`;
}

/** Native code cannot be loaded from inside an Electron archive; the packagers put it beside. */
export function unpacked(path: string): string {
  return path.replace(/\.asar(?=[\\/])/, '.asar.unpacked');
}

function checked(candidate: Candidate): Candidate {
  return existsSync(candidate.path) ? candidate : { ...candidate, problem: 'no such file' };
}

function platformPackage({ root, tag, version }: CandidateContext): Candidate {
  const name = platformPackageName(tag);
  const source = 'platform package';
  let manifest: string;
  try {
    manifest = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`);
  } catch {
    return { source, path: name, problem: 'not installed' };
  }
  const path = unpacked(join(dirname(manifest), binaryName));
  const found = packageVersion(manifest);
  if (found !== version) return { source, path, problem: `is version ${found}, this package is ${version}` };
  return checked({ source, path });
}

export function packageVersion(manifest: string): string {
  const parsed: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed && typeof parsed.version === 'string') {
    return parsed.version;
  }
  return 'unknown';
}
