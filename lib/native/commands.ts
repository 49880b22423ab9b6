import { packageRoot } from '../here.js';
import { packageVersion } from './candidates.js';
import { join } from 'node:path';
import { type Manager, type ProjectFacts, projectOf } from './project.js';

const mainName = 'node-diffusion';

/** A hard dependency on a package of one platform would stop an installation on every other (EBADPLATFORM). */
const addOptional: Readonly<Record<Manager, string>> = {
  npm: 'npm install --save-optional',
  pnpm: 'pnpm add --save-optional',
  yarn: 'yarn add --optional',
  'yarn-classic': 'yarn add --optional',
  bun: 'bun add --optional',
};

const add: Readonly<Record<Manager, string>> = {
  npm: 'npm install --include=optional',
  pnpm: 'pnpm add',
  yarn: 'yarn add',
  'yarn-classic': 'yarn add',
  bun: 'bun add',
};

/** What the lockfile says, laid out anew. */
const again: Readonly<Record<Manager, string>> = {
  npm: 'npm ci',
  pnpm: 'pnpm install --force',
  yarn: 'yarn install',
  'yarn-classic': 'yarn install --force',
  bun: 'bun install --force',
};

type Project = Pick<ProjectFacts, 'manager' | 'lockfile'>;

/** The command that adds a package of ours for one platform to a project, in this version. */
export function addCommand({ manager }: Project, name: string, version: string): string {
  return `${addOptional[manager]} ${name}@${version}`;
}

/** The command that installs this package, and with it its optional dependencies, in one version. */
export function mainCommand({ manager }: Project, version: string): string {
  return `${add[manager]} ${mainName}@${version}`;
}

/** The command that installs a project anew. Without a lockfile `npm ci` and its like refuse: this package then. */
export function againCommand(project: Project, version: string): string {
  return project.lockfile === null ? mainCommand(project, version) : again[project.manager];
}

/**
 * The command that adds a package of ours to the project that this one is installed in: of the project's own package
 * manager, as an optional dependency, in this package's version, since the loader refuses every other.
 */
export function installCommand(name: string, root: string = packageRoot): string {
  return addCommand(projectOf(root, name), name, packageVersion(join(root, 'package.json')));
}

/** The command that installs the project anew which this package is installed in. `name`: of the platform package. */
export function reinstallCommand(name: string, root: string = packageRoot): string {
  return againCommand(projectOf(root, name), packageVersion(join(root, 'package.json')));
}
