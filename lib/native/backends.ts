import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageVersion, unpacked } from './candidates.js';
import type { NativeAddon, NativeBackendReport } from './contract.js';
import { backendPackageNames } from './packages.js';

/** A folder with backend modules. `problem` says why its modules must be left alone. */
export interface BackendFolder {
  readonly path: string;
  readonly problem?: string;
}

/** Backend modules that are not to be loaded: absolute path, and why. */
export type SkippedModules = ReadonlyMap<string, string>;

/** The folder of the addon, then those of backend packages that are installed. */
export function backendFolders(addonFolder: string, root: string, tag: string, version: string): BackendFolder[] {
  const folders: BackendFolder[] = [{ path: addonFolder }];
  const { resolve } = createRequire(join(root, 'package.json'));
  for (const name of backendPackageNames(tag)) {
    let manifest: string;
    try {
      manifest = resolve(`${name}/package.json`);
    } catch {
      continue; // not installed
    }
    const found = packageVersion(manifest);
    const path = unpacked(dirname(manifest));
    const other = `the package is version ${found}, node-diffusion is ${version}`;
    folders.push(found === version ? { path } : { path, problem: other });
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
