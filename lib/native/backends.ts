import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readManifest, unpacked } from './candidates.js';
import type { NativeAddon, NativeBackendReport } from './contract.js';
import { type SystemLibraries, tooOld } from './libraries.js';
import { backendPackageNames } from './packages.js';

/** A folder with backend modules. `problem` says why its modules must be left alone. */
export interface BackendFolder {
  readonly path: string;
  readonly problem?: string;
}

/** Backend modules that are not to be loaded: absolute path, and why. */
export type SkippedModules = ReadonlyMap<string, string>;

interface BackendContext {
  readonly root: string;
  readonly tag: string;
  readonly version: string;
  readonly libraries: () => SystemLibraries;
}

/** The folder of the addon, then those of backend packages that are installed. */
export function backendFolders(
  addonFolder: string,
  { root, tag, version, libraries }: BackendContext,
): BackendFolder[] {
  const folders: BackendFolder[] = [{ path: addonFolder }];
  const { resolve } = createRequire(join(root, 'package.json'));
  for (const name of backendPackageNames(tag)) {
    let manifest: string;
    try {
      manifest = resolve(`${name}/package.json`);
    } catch {
      continue; // not installed
    }
    const { version: found, config } = readManifest(manifest);
    const path = unpacked(dirname(manifest));
    const old = tooOld(config, libraries);
    if (found !== version) {
      folders.push({ path, problem: `the package is version ${found}, node-diffusion is ${version}` });
    } else folders.push(old === '' ? { path } : { path, problem: `the package ${old}` });
  }
  return folders;
}

/** Backend modules of a folder other than CPU variants, absolute. */
export function modulesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => /^(?:lib)?ggml-(?!cpu).+\.(?:so|dylib|dll)$/.test(name));
  return names.sort().map((name) => join(folder, name));
}

/** Loads the modules of every folder. One that cannot be used is told of and keeps no other from being used. */
export function loadBackends(
  addon: Pick<NativeAddon, 'loadBackends'>,
  folders: readonly BackendFolder[],
  skip: SkippedModules = new Map(),
): NativeBackendReport[] {
  return folders.flatMap(({ path, problem }) => {
    if (problem !== undefined) return modulesOf(path).map((file) => ({ file, loaded: false, reason: problem }));
    const skipped = modulesOf(path).filter((file) => skip.has(file));
    const reports = addon.loadBackends(path, skipped);
    return [...reports, ...skipped.map((file) => ({ file, loaded: false, reason: skip.get(file) ?? '' }))];
  });
}
