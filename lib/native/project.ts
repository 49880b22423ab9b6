import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Who installs the packages of a project. `yarn` is Yarn 2 and later, whose commands differ from those of Yarn 1. */
export type Manager = 'npm' | 'pnpm' | 'yarn' | 'yarn-classic' | 'bun';

/** What a project says about how its packages are installed; looked at when the addon or a backend is missing. */
export interface ProjectFacts {
  /** The nearest lockfile, absolute; null when there is none. */
  readonly lockfile: string | null;
  readonly manager: Manager;
  /** The lockfile has the platform package; true without one, since then nothing speaks against it. */
  readonly locked: boolean;
  /** Tags of platform packages that are installed, e.g. `darwin-arm64`. */
  readonly installed: readonly string[];
}

const lockfiles: readonly (readonly [name: string, manager: Manager])[] = [
  ['package-lock.json', 'npm'],
  ['npm-shrinkwrap.json', 'npm'],
  ['pnpm-lock.yaml', 'pnpm'],
  ['yarn.lock', 'yarn'],
  ['bun.lock', 'bun'],
  ['bun.lockb', 'bun'],
];

/** Looks at the project that a package is installed in. Never throws. */
export function projectOf(root: string, packageName: string): ProjectFacts {
  const installed = installedTags(root, dirname(packageName));
  // Everything above node_modules: a lockfile inside belongs to somebody else.
  const project = above(root);
  for (let folder = project; ; folder = dirname(folder)) {
    for (const [name, manager] of lockfiles) {
      const lockfile = join(folder, name);
      if (!existsSync(lockfile)) continue;
      const text = textOf(lockfile);
      const classic = manager === 'yarn' && text !== null && !/^__metadata:/m.test(text);
      const locked = text === null || mentions(name, text, packageName);
      return { lockfile, manager: classic ? 'yarn-classic' : manager, locked, installed };
    }
    if (folder === dirname(folder)) return { lockfile: null, manager: managerOf(project), locked: true, installed };
  }
}

/** The folder that holds the outermost node_modules of a path; the path itself when there is none. */
function above(path: string): string {
  const at = path.search(/[\\/]node_modules(?:[\\/]|$)/);
  return at < 0 ? path : path.slice(0, at);
}

/** What each leaves in the node_modules that it lays out. */
const marks: readonly (readonly [name: string, manager: Manager])[] = [
  ['.modules.yaml', 'pnpm'],
  ['.yarn-state.yml', 'yarn'],
  ['.yarn-integrity', 'yarn-classic'],
];

/** Whose project it is where no lockfile says so: npm when nothing does. */
function managerOf(folder: string): Manager {
  const [, name, major] = /"packageManager"\s*:\s*"(\w+)@(\d*)/.exec(textOf(join(folder, 'package.json')) ?? '') ?? [];
  if (name === 'yarn') return major === '1' ? 'yarn-classic' : 'yarn';
  if (name === 'npm' || name === 'pnpm' || name === 'bun') return name;
  return marks.find(([mark]) => existsSync(join(folder, 'node_modules', mark)))?.[1] ?? 'npm';
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** Whether a lockfile has a package, at the top or below another one; true for what cannot be read. */
function mentions(name: string, text: string, packageName: string): boolean {
  if (name.endsWith('.lockb')) return true; // not text
  // `name@1.2.3`; pnpm's older ones write `/name/1.2.3`.
  if (!name.endsWith('.json')) return new RegExp(`${packageName}[@/]`).test(text);
  try {
    const { packages } = JSON.parse(text) as { readonly packages?: object };
    // Lockfiles of npm 6 and before have none.
    if (packages === undefined) return true;
    return Object.keys(packages).some((path) => `/${path}`.endsWith(`/node_modules/${packageName}`));
  } catch {
    return true;
  }
}

/** Platform packages (no backend ones) that lie where Node would find ours. */
function installedTags(root: string, scope: string): string[] {
  const places = createRequire(join(root, 'package.json')).resolve.paths(scope) ?? [];
  const found = places.flatMap((place) => {
    try {
      return readdirSync(join(place, scope));
    } catch {
      return [];
    }
  });
  return [...new Set(found.filter((name) => name.split('-').length === 2))].sort();
}
