import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { packageVersion, platformPackageName, unpacked } from './candidates.js';
import type { NativeAddon, NativeBackendReport } from './contract.js';

/** Backends that have a package of their own, `@node-diffusion/<tag>-<backend>`, which a person installs. */
const packaged = ['openvino'] as const;

export interface BackendPackageContext {
  /** Directory of this package's package.json. */
  readonly root: string;
  /** {@link platformTag}. */
  readonly tag: string;
  readonly version: string;
}

/** Folder of an installed backend package; `problem` is set where it is not to be loaded. */
export interface BackendPackage {
  readonly name: string;
  readonly directory: string;
  readonly problem?: string;
}

/** Backend packages that Node finds from this package, by absolute path. */
export function backendPackages({ root, tag, version }: BackendPackageContext): BackendPackage[] {
  const { resolve } = createRequire(join(root, 'package.json'));
  return packaged.flatMap((backend) => {
    const name = platformPackageName(`${tag}-${backend}`);
    let manifest: string;
    try {
      manifest = resolve(`${name}/package.json`);
    } catch {
      return [];
    }
    const directory = unpacked(dirname(manifest));
    const found = packageVersion(manifest);
    const problem = `${name} is version ${found}, this package is ${version}: npm install ${name}@${version}`;
    return [found === version ? { name, directory } : { name, directory, problem }];
  });
}

/** Loads the modules beside the addon, then those of backend packages; what is not loaded says why. */
export function loadBackendModules(
  addon: Pick<NativeAddon, 'loadBackends'>,
  binary: string,
  context: BackendPackageContext,
): NativeBackendReport[] {
  const beside = addon.loadBackends(dirname(binary));
  const others = backendPackages(context).flatMap(({ name, directory, problem }) =>
    problem === undefined
      ? addon.loadBackends(directory)
      : [{ file: join(directory, `libggml-${name.split('-').at(-1) ?? ''}`), loaded: false, reason: problem }],
  );
  return [...beside, ...others];
}
